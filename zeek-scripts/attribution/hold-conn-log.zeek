##! Lets a line of ``conn.log`` wait as long as its connection is looked up again, if agents
##! own a side for which nothing was found at once: then it has what is found late, too.
##! Not loaded by default: such lines come some seconds later, and every line of every log
##! costs a call. Takes Zeek 6.2.

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
	ZeekAgent::allow_delays(Conn::LOG, attribution_delay * attribution_tries + 1sec,
	    max_waiting);
	}
