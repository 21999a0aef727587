##! Logs each server as it starts, and who runs it: ``server-applications.log``.
##!
##! Servers that only the host itself can reach are left out. Those that run already
##! when an agent comes are not logged.

@load ../framework

module ServerApplications;

export {
	## How often hosts are asked.
	option query_interval = 10secs;

	redef enum Log::ID += { LOG };

	## What the query selects.
	type Columns: record {
		username: string &optional &log; ##< user that runs it
		name: string &optional &log; ##< name of the process
		port_number: count &optional &log; ##< TCP port
	};

	## A line of the log.
	type Info: record {
		t: time &log; ##< when Zeek heard of it
		hid: string &log; ##< ID of the host
		host: string &log; ##< name of the host
		columns: Columns &log;
	};

	## Policy hook of the log.
	global log_policy: Log::PolicyHook;

	## A server started.
	global started: event(ctx: ZeekAgent::Context, columns: Columns);
}

# A server that takes IPv4 and IPv6 has two sockets, and is one server.
const statement = "SELECT DISTINCT u.name, p.name, s.local_port FROM sockets s "
    + "JOIN processes p ON p.pid = s.pid "
    + "LEFT JOIN users u ON u.uid = CAST(p.uid AS TEXT) "
    + "WHERE s.state = 'LISTEN' AND s.local_addr NOT LIKE '127.%' "
    + "AND s.local_addr NOT LIKE '::ffff:127.%' AND s.local_addr != '::1'";

event ServerApplications::started(ctx: ZeekAgent::Context, columns: Columns)
	{
	if ( ZeekAgent::change_type(ctx) != "new" )
		return;

	Log::write(LOG, Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns));
	}

event zeek_init()
	{
	ZeekAgent::create_log(LOG, Info, Columns, "server-applications", log_policy);

	ZeekAgent::query(ZeekAgent::Query($sql_stmt=statement, $event_=started,
	    $schedule_=query_interval, $subscription=ZeekAgent::Differences,
	    $requires_tables=set("sockets", "processes", "users")));
	}
