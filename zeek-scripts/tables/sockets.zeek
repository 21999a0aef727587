##! IP sockets that are open on the hosts: ``zeek-agent-sockets.log``.

@load ../framework

module ZeekAgent_Sockets;

export {
	## Whether the table is asked for.
	const enabled = T &redef;

	## How often it is asked for.
	option query_interval = 30secs;

	## What is logged; see ``ZeekAgent::SubscriptionType``.
	option subscription = ZeekAgent::Differences;

	## The log stream.
	redef enum Log::ID += { LOG };

	# Columns of sockets: pid process family protocol local_addr local_port remote_addr remote_port state
	type Columns: record {
		pid: count &optional &log; ##< process that holds the socket, NULL if unknown
		process: string &optional &log; ##< name of that process
		family: string &optional &log; ##< ``IPv4`` or ``IPv6``
		protocol: count &optional &log; ##< transport protocol: 6 TCP, 17 UDP, 136 UDP-Lite, 1 and 58 ICMP, 255 raw
		local_addr: addr &optional &log; ##< local address, ``0.0.0.0`` or ``::`` for any
		local_port: count &optional &log; ##< local port
		remote_addr: addr &optional &log; ##< address of the peer
		remote_port: count &optional &log; ##< port of the peer, 0 if there is none
		state: string &optional &log; ##< state of a TCP socket, for example ``LISTEN`` or ``ESTABLISHED``; NULL for others
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

event ZeekAgent_Sockets::query_result(ctx: ZeekAgent::Context, columns: Columns)
	{
	local info = Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns);

	if ( ctx?$change )
		info$change = ZeekAgent::change_type(ctx);

	ZeekAgent::count_row(ctx);
	Log::write(LOG, info);
	}

# What agents are asked.
const statement = "SELECT * FROM sockets";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-sockets", log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=subscription);
	ZeekAgent::query(q);
	}
