##! Processes that run on the hosts: ``zeek-agent-processes.log``.

@load ../framework

module ZeekAgent_Processes;

export {
	## Whether the table is asked for.
	const enabled = T &redef;

	## How often it is asked for.
	option query_interval = 30secs;

	## What is logged; see ``ZeekAgent::SubscriptionType``.
	option subscription = ZeekAgent::Differences;

	## The log stream.
	redef enum Log::ID += { LOG };

	# Columns of processes: name pid uid gid ppid priority startup
	type Columns: record {
		name: string &optional &log; ##< name of the process, short on Linux (15 bytes)
		pid: count &optional &log; ##< process ID
		uid: count &optional &log; ##< effective user ID
		gid: count &optional &log; ##< effective group ID
		ppid: count &optional &log; ##< process ID of the parent, 0 if it has none
		priority: string &optional &log; ##< priority, in the words or numbers of the platform
		startup: interval &optional &log; ##< when the process started, as time since 1970-01-01 UTC; constant for a process
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

event ZeekAgent_Processes::query_result(ctx: ZeekAgent::Context,
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
const statement =
    "SELECT name,pid,uid,gid,ppid,priority,startup FROM processes";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-processes", log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=subscription);
	ZeekAgent::query(q);
	}
