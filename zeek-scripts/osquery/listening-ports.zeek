##! Ports on which programs listen, as osquery tells them: ``zeek-agent-osquery-listening-ports.log``.

@load ../framework

module ZeekAgent_OsqueryListeningPorts;

export {
	## Whether agents are asked for it.
	const enabled = T &redef;

	## How often it is asked for.
	option query_interval = 30secs;

	## What is logged; see ``ZeekAgent::SubscriptionType``.
	option subscription = ZeekAgent::Differences;

	## The log stream.
	redef enum Log::ID += { LOG };

	## Columns of the answer.
	type Columns: record {
		pid: int &optional &log; ##< process that holds the socket; -1 if osquery does not know
		fd: int &optional &log; ##< number of its file descriptor
		family: int &optional &log; ##< 2 IPv4, 10 IPv6, 1 Unix; as the system numbers them
		socket: int &optional &log; ##< inode of the socket
		protocol: int &optional &log; ##< transport protocol: 6 TCP, 17 UDP
		address: string &optional &log; ##< address it listens on
		listening_port: int &optional &log; ##< port it listens on
		path: string &optional &log; ##< path of a Unix socket
	};

	## A line of the log.
	type Info: record {
		t: time &log; ##< when Zeek received it
		hid: string &log; ##< ID of the host
		host: string &log; ##< name of the host
		change: string &optional &log; ##< ``new`` or ``gone``
		columns: Columns &log;
	};

	## Policy hook of the log.
	global log_policy: Log::PolicyHook;

	## A row of the answer.
	global query_result: event(ctx: ZeekAgent::Context, columns: Columns);
}

event ZeekAgent_OsqueryListeningPorts::query_result(ctx: ZeekAgent::Context,
    columns: Columns)
	{
	local info = Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns);

	if ( ctx?$change )
		info$change = ZeekAgent::change_type(ctx);

	ZeekAgent::count_row(ctx);
	Log::write(LOG, info);
	}

# What agents are asked.
const statement = "SELECT pid, fd, family, socket, protocol, address, port AS listening_port, path "
    + "FROM osquery_listening_ports";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-osquery-listening-ports",
	    log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=subscription,
	    $requires_tables=set("osquery_listening_ports"));
	ZeekAgent::query(q);
	}
