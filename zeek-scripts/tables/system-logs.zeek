##! What arrives in the logs of the hosts' operating systems: ``zeek-agent-system-logs.log``.

@load ../framework

module ZeekAgent_SystemLogs;

export {
	## Whether the table is asked for.
	const enabled = T &redef;

	## How often it is asked for.
	option query_interval = 30secs;

	## The log stream.
	redef enum Log::ID += { LOG };

	# Columns of system_logs_events: time process level message
	type Columns: record {
		time_: time &optional &log; ##< when the log took the message
		process: string &optional &log; ##< who wrote it: path of the program if it is known (Linux), else its name
		level: string &optional &log; ##< severity in the words or numbers of the platform; on Linux ``0`` (emergency) to ``7`` (debug), NULL if the message came without
		message: string &optional &log; ##< the text, at most 64 KiB; bytes that are not UTF-8 are shown as ``\xNN``
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
}

event ZeekAgent_SystemLogs::query_result(ctx: ZeekAgent::Context,
    columns: Columns)
	{
	local info = Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns);

	ZeekAgent::count_row(ctx);
	Log::write(LOG, info);
	}

# What agents are asked.
const statement =
    "SELECT time, process, level, message FROM system_logs_events";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-system-logs",
	    log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=ZeekAgent::Events,
	    $requires_tables=set("system_logs_events"));
	ZeekAgent::query(q);
	}
