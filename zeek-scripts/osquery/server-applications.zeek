##! Programs that begin to serve others than their own host, with user and port:
##! ``zeek-agent-server-applications.log``.
##!
##! Agents with osquery are asked for its tables, all others for the agent's own.

@load ../framework

module ZeekAgent_ServerApplications;

export {
	## Whether agents are asked.
	const enabled = T &redef;

	## How often they are asked.
	option query_interval = 10secs;

	## The log stream.
	redef enum Log::ID += { LOG };

	## Columns of the answer.
	type Columns: record {
		username: string &optional &log; ##< login name of the user it runs as
		name: string &optional &log; ##< name of the process
		port_number: int &optional &log; ##< port it listens on
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

	## A program began to listen.
	global query_result: event(ctx: ZeekAgent::Context, columns: Columns);
}

event ZeekAgent_ServerApplications::query_result(ctx: ZeekAgent::Context,
    columns: Columns)
	{
	ZeekAgent::count_row(ctx);
	Log::write(LOG, Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns));
	}

# What agents are asked, with and without osquery. A program that serves IPv4 and IPv6
# is one.
const statement = "SELECT DISTINCT u.username, p.name, l.port "
    + "FROM osquery_listening_ports l JOIN osquery_processes p USING (pid) "
    + "LEFT JOIN osquery_users u ON u.uid = p.uid "
    + "WHERE l.port != 0 AND l.address NOT IN ('127.0.0.1', '::1')";
const own_statement =
    "SELECT DISTINCT u.name, s.process, CAST(s.local_port AS INTEGER) "
    + "FROM sockets s LEFT JOIN processes p ON p.pid = s.pid "
    + "LEFT JOIN users u ON u.uid = p.uid WHERE (s.state = 'LISTEN' OR "
    + "(s.protocol = 17 AND s.remote_port = 0 AND s.local_port != 0)) AND "
    + "s.local_addr NOT IN ('127.0.0.1', '::1')";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-server-applications",
	    log_policy);

	ZeekAgent::query(ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=ZeekAgent::Events,
	    $requires_tables=set("osquery_listening_ports", "osquery_processes",
	    "osquery_users")));
	ZeekAgent::query(ZeekAgent::Query($sql_stmt=own_statement,
	    $event_=query_result, $schedule_=query_interval,
	    $subscription=ZeekAgent::Events, $requires_tables=set("sockets"),
	    $if_missing_tables=set("osquery_listening_ports")));
	}
