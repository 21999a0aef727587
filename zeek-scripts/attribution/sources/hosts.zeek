##! Hosts: from the hellos of their agents.

@load ./clocks

module ZeekAgent::Attribution;

# Tells of a host what is new.
function tell_host(hid: string, hello: ZeekAgentAPI::AgentHelloV1)
	{
	local name = hello?$hostname && hello$hostname != "" ? hello$hostname :
	    "<unknown>";
	local addresses: set[addr] = hello?$addresses ? hello$addresses : set();
	tell(Fact($what=HOST, $hid=hid, $t=network_time(), $name=name,
	    $addresses=addresses));
	}

event ZeekAgentAPI::agent_hello_v1(ctx: ZeekAgent::Context,
    columns: ZeekAgentAPI::AgentHelloV1)
	{
	if ( ! enabled || ! ZeekAgent::is_designated() )
		return;

	note_clock(ctx$agent_id, ctx$host_time);
	tell_host(ctx$agent_id, columns);
	}

event ZeekAgent::agent_left(hid: string, reason: string)
	{
	if ( ! enabled || ! ZeekAgent::is_designated() )
		return;

	forget_clock(hid);
	tell(Fact($what=HOST_GONE, $hid=hid, $t=network_time()));
	}
