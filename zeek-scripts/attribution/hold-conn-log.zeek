##! Lets a line of ``conn.log`` wait for the second look, if agents own a side for which
##! nothing was found at once: then it has what is found late, too. Not loaded by default:
##! it costs a call for each line of each log. Takes Zeek 6.2.

@load ./connections

module ZeekAgent::Attribution;

hook Log::log_stream_policy(rec: any, id: Log::ID)
	{
	if ( id != Conn::LOG )
		return;

	local info = rec as Conn::Info;

	if ( info$awaits_agents )
		info$is_held = ZeekAgent::delay_line(id, rec);
	}

event zeek_init()
	{
	ZeekAgent::allow_delays(Conn::LOG, attribution_delay + 1sec, max_waiting);
	}
