##! Ports that take connections or datagrams, with process and user: ``zeek-agent-listening-ports.log``.

@load ../framework

module ZeekAgent_ListeningPorts;

export {
	## Whether the table is asked for.
	const enabled = T &redef;

	## How often it is asked for.
	option query_interval = 30secs;

	## What is logged; see ``ZeekAgent::SubscriptionType``.
	option subscription = ZeekAgent::Differences;

	## The log stream.
	redef enum Log::ID += { LOG };

	# Columns of sockets: local_addr local_port protocol pid process;
	#  of processes: exe uid; of users: name=user
	type Columns: record {
		local_addr: addr &optional &log; ##< local address, ``0.0.0.0`` or ``::`` for any
		local_port: count &optional &log; ##< local port
		protocol: count &optional &log; ##< transport protocol: 6 TCP, 17 UDP, 136 UDP-Lite, 1 and 58 ICMP, 255 raw
		pid: count &optional &log; ##< process that holds the socket, NULL if unknown
		process: string &optional &log; ##< name of that process
		exe: string &optional &log; ##< path of the program as the process sees it; `` (deleted)`` at the end: the file is gone
		uid: count &optional &log; ##< effective user ID
		user: string &optional &log; ##< login name
	};
	# End of columns.

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

	## A row of the table.
	global query_result: event(ctx: ZeekAgent::Context, columns: Columns);
}

event ZeekAgent_ListeningPorts::query_result(ctx: ZeekAgent::Context,
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
const statement = "SELECT s.local_addr, s.local_port, s.protocol, s.pid, s.process, p.exe, p.uid, u.name "
    + "FROM sockets s LEFT JOIN processes p ON p.pid = s.pid LEFT JOIN users u ON u.uid = p.uid "
    + "WHERE s.state = 'LISTEN' OR "
    + "(s.protocol IN (17, 136) AND s.remote_port = 0 AND s.local_port != 0)";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-listening-ports",
	    log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=subscription);
	ZeekAgent::query(q);
	}
