##! Programs that were executed, as osquery's auditing tells them: ``zeek-agent-osquery-process-events.log``.
##!
##! Osquery has to collect them (``disable_events=false``), and the agents to offer the
##! table: ``include_events = ["process_events"]`` in their section ``[osquery]``.

@load ../framework

module ZeekAgent_OsqueryProcessEvents;

export {
	## Whether agents are asked for it.
	const enabled = T &redef;

	## How often it is asked for.
	option query_interval = 10secs;

	## The log stream.
	redef enum Log::ID += { LOG };

	## Columns of the answer.
	type Columns: record {
		pid: int &optional &log; ##< process
		path: string &optional &log; ##< path of the program
		cmdline: string &optional &log; ##< its arguments
		cwd: string &optional &log; ##< current directory
		uid: int &optional &log; ##< user ID
		gid: int &optional &log; ##< group ID
		start_time: int &optional &log; ##< when, in seconds since 1970-01-01 UTC
		parent: int &optional &log; ##< process ID of the parent
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

event ZeekAgent_OsqueryProcessEvents::query_result(ctx: ZeekAgent::Context,
    columns: Columns)
	{
	ZeekAgent::count_row(ctx);
	Log::write(LOG, Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns));
	}

# What agents are asked.
const statement =
    "SELECT pid, path, cmdline, cwd, uid, gid, time AS start_time, parent "
    + "FROM osquery_process_events";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-osquery-process-events",
	    log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=ZeekAgent::Events,
	    $requires_tables=set("osquery_process_events"));
	ZeekAgent::query(q);
	}
