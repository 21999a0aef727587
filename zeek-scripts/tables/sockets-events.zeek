##! Connections and listening sockets as they come and go: ``zeek-agent-sockets-events.log``.
##!
##! Agents that have no ``sockets_events`` are asked for ``sockets`` instead. Then sockets
##! that live shorter than ``query_interval`` are missed, and no times are known.

@load ../framework

module ZeekAgent_SocketsEvents;

export {
	## Whether the table is asked for.
	const enabled = T &redef;

	## Whether agents without the table are asked for ``sockets`` instead.
	const fallback_enabled = T &redef;

	## How often it is asked for.
	option query_interval = 5secs;

	## The log stream.
	redef enum Log::ID += { LOG };

	# Columns of sockets_events: time pid process uid gid family protocol local_addr local_port
	#  remote_addr remote_port state direction duration sent received error seuid
	type Columns: record {
		time_: time &optional &log; ##< when it happened, by the clock of the kernel
		pid: count &optional &log; ##< process that did it
		process: string &optional &log; ##< name of that process
		uid: count &optional &log; ##< its effective user ID
		gid: count &optional &log; ##< its effective group ID
		family: string &optional &log; ##< ``IPv4`` or ``IPv6``
		protocol: count &optional &log; ##< transport protocol: 6 TCP, 17 UDP
		local_addr: addr &optional &log; ##< local address, ``0.0.0.0`` or ``::`` for any
		local_port: count &optional &log; ##< local port
		remote_addr: addr &optional &log; ##< address of the peer
		remote_port: count &optional &log; ##< port of the peer
		state: string &optional &log; ##< ``established``, ``failed``, ``listen``, ``closed``, ``expired``; if asked for in the settings ``open`` for what was there when the first query began
		direction: string &optional &log; ##< ``out`` for opened, ``in`` for accepted; NULL if unknown
		duration: interval &optional &log; ##< for ``closed``: how long the connection lasted
		sent: count &optional &log; ##< for ``closed``: bytes that the peer acknowledged
		received: count &optional &log; ##< for ``closed``: bytes that came from the peer
		error: count &optional &log; ##< for ``failed``: the system's error number
		seuid: string &optional &log; ##< ID of the socket, the same in all events on it
	};
	# End of columns.

	## A line of the log.
	type Info: record {
		t: time &log; ##< when Zeek received it
		hid: string &log; ##< ID of the host
		host: string &log; ##< name of the host
		columns: Columns &log;
	};

	## Policy hook of the log.
	global log_policy: Log::PolicyHook;

	## A row of the table.
	global query_result: event(ctx: ZeekAgent::Context, columns: Columns);

	## A socket that came or went, where there are no events.
	global snapshot_result: event(ctx: ZeekAgent::Context, columns: Columns);
}

event ZeekAgent_SocketsEvents::query_result(ctx: ZeekAgent::Context,
    columns: Columns)
	{
	ZeekAgent::count_row(ctx);
	Log::write(LOG, Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns));
	}

event ZeekAgent_SocketsEvents::snapshot_result(ctx: ZeekAgent::Context,
    columns: Columns)
	{
	if ( ZeekAgent::change_type(ctx) == "gone" )
		columns$state = "closed";
	event query_result(ctx, columns);
	}

# What agents are asked, with and without the table.
const statement =
    "SELECT time, pid, process, uid, gid, family, protocol, local_addr, "
    + "local_port, remote_addr, remote_port, state, direction, duration, sent, received, "
    + "error, seuid FROM sockets_events";
const snapshot_statement =
    "SELECT NULL AS time, pid, process, NULL AS uid, NULL AS gid, "
    + "family, protocol, local_addr, local_port, remote_addr, remote_port, "
    + "CASE WHEN state = 'LISTEN' OR remote_port = 0 THEN 'listen' ELSE 'established' END, "
    + "NULL AS direction, NULL AS duration, NULL AS sent, NULL AS received, NULL AS error, "
    + "NULL AS seuid FROM sockets WHERE state IN ('LISTEN', 'ESTABLISHED') OR "
    + "(state IS NULL AND protocol IN (17, 136))";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-sockets-events",
	    log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=ZeekAgent::Events,
	    $requires_tables=set("sockets_events"));
	ZeekAgent::query(q);

	if ( ! fallback_enabled )
		return;

	local snapshot = ZeekAgent::Query($sql_stmt=snapshot_statement,
	    $event_=snapshot_result, $schedule_=query_interval,
	    $subscription=ZeekAgent::Differences, $if_missing_tables=set(
	    "sockets_events"));
	ZeekAgent::query(snapshot);
	}
