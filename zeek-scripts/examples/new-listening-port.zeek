##! Notices a host that begins to listen on a port.
##!
##! Ports on which only the host itself can connect are left out.

@load ../framework
@load base/frameworks/notice

module NewListeningPort;

export {
	redef enum Notice::Type += {
		## A host listens on a port.
		New_Listening_Port
	};

	## Ports that are nothing special.
	option expected: set[port] = {22/tcp};

	## How often hosts are asked.
	option query_interval = 10secs;

	## What the query selects.
	type Columns: record {
		local_addr: addr &optional;
		local_port: count &optional;
		process: string &optional;
		pid: count &optional;
	};

	## A port was opened, or closed.
	global changed: event(ctx: ZeekAgent::Context, columns: Columns);
}

const statement = "SELECT local_addr, local_port, process, pid FROM sockets "
    + "WHERE state = 'LISTEN' AND local_addr NOT LIKE '127.%' "
    + "AND local_addr NOT LIKE '::ffff:127.%' AND local_addr != '::1'";

event NewListeningPort::changed(ctx: ZeekAgent::Context, columns: Columns)
	{
	if ( ZeekAgent::change_type(ctx) != "new"
	    || ! columns?$local_port
	    || ! columns?$local_addr )
		return;

	local p = count_to_port(columns$local_port, tcp);

	if ( p in expected )
		return;

	NOTICE([$note=New_Listening_Port, $src=columns$local_addr, $p=p,
	    $identifier=cat(ctx$agent_id, p), $suppress_for=1min, $msg=fmt(
	    "%s listens on %s, port %s", ZeekAgent::hostname(ctx),
	    columns$local_addr, p), $sub=fmt("process %s, %s", columns?$pid ?
	    cat(columns$pid) : "?", columns?$process ? columns$process : "?")]);
	}

event zeek_init()
	{
	ZeekAgent::query(ZeekAgent::Query($sql_stmt=statement, $event_=changed,
	    $schedule_=query_interval, $subscription=ZeekAgent::Differences,
	    $requires_tables=set("sockets")));
	}
