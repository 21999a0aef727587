##! Sockets that were opened, as osquery's auditing tells them: ``zeek-agent-osquery-socket-events.log``.
##!
##! Osquery has to collect them (``disable_events=false``), and the agents to offer the
##! table: ``include_events = ["socket_events"]`` in their section ``[osquery]``.

@load ../framework

module ZeekAgent_OsquerySocketEvents;

export {
	## Whether agents are asked for it.
	const enabled = T &redef;

	## How often it is asked for.
	option query_interval = 10secs;

	## The log stream.
	redef enum Log::ID += { LOG };

	## Columns of the answer.
	type Columns: record {
		action: string &optional &log; ##< ``bind``, ``connect`` or ``accept``
		pid: int &optional &log; ##< process
		fd: int &optional &log; ##< number of the file descriptor
		path: string &optional &log; ##< path of the program
		family: int &optional &log; ##< 2 IPv4, 10 IPv6, 1 Unix; as the system numbers them
		protocol: int &optional &log; ##< transport protocol: 6 TCP, 17 UDP
		local_address: string &optional &log; ##< local address
		remote_address: string &optional &log; ##< address of the peer
		local_port: int &optional &log; ##< local port
		remote_port: int &optional &log; ##< port of the peer
		start_time: int &optional &log; ##< when, in seconds since 1970-01-01 UTC
		success: int &optional &log; ##< whether it succeeded: 1, or 0
	};

	## A line of the log.
	type Info: record {
		t: time &log; ##< when Zeek received it
		hid: string &log; ##< ID of the host
		host: string &log; ##< name of the host
		columns: Columns &log;
	};

	## Policy hook of the log.
	global log_policy: Log::PolicyHook;

	## A row of the answer.
	global query_result: event(ctx: ZeekAgent::Context, columns: Columns);
}

event ZeekAgent_OsquerySocketEvents::query_result(ctx: ZeekAgent::Context,
    columns: Columns)
	{
	ZeekAgent::count_row(ctx);
	Log::write(LOG, Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns));
	}

# What agents are asked.
const statement = "SELECT action, pid, CAST(fd AS INTEGER) AS fd, path, family, protocol, local_address, "
    + "remote_address, local_port, remote_port, time AS start_time, success "
    + "FROM osquery_socket_events";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-osquery-socket-events",
	    log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=ZeekAgent::Events,
	    $requires_tables=set("osquery_socket_events"));
	ZeekAgent::query(q);
	}
