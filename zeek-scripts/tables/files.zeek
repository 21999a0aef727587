##! Files of the hosts that match patterns: ``zeek-agent-files.log``.

@load ../framework

module ZeekAgent_Files;

export {
	## Whether the table is asked for.
	const enabled = T &redef;

	## Patterns of the paths; none at all switches the log off.
	option paths_to_watch: set[string] = {
		"/etc/*",
		"/etc/*/*"
	};

	## How often it is asked for.
	option query_interval = 30secs;

	## What is logged; see ``ZeekAgent::SubscriptionType``.
	option subscription = ZeekAgent::Differences;

	## The log stream.
	redef enum Log::ID += { LOG };

	# Columns of files_list: path type uid gid mode mtime size
	type Columns: record {
		path: string &optional &log; ##< full path; bytes that are not UTF-8 appear as ``\xNN``
		type_: string &optional &log; ##< ``file``, ``dir``, ``block``, ``char``, ``fifo``, ``socket``, else ``other``
		uid: count &optional &log; ##< numeric id of the owner; NULL on Windows
		gid: count &optional &log; ##< numeric id of the group; NULL on Windows
		mode: string &optional &log; ##< permissions in octal, for example ``644`` or ``4755``
		mtime: time &optional &log; ##< when the content was last modified
		size: count &optional &log; ##< size in bytes
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

event ZeekAgent_Files::query_result(ctx: ZeekAgent::Context, columns: Columns)
	{
	local info = Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns);

	if ( ctx?$change )
		info$change = ZeekAgent::change_type(ctx);

	ZeekAgent::count_row(ctx);
	Log::write(LOG, info);
	}

event zeek_init()
	{
	if ( ! enabled || |paths_to_watch| == 0 )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-files", log_policy);

	for ( path in paths_to_watch )
		{
		local q = ZeekAgent::Query($sql_stmt=fmt("SELECT * FROM files_list(\"%s\")",
		    path), $event_=query_result, $schedule_=query_interval,
		    $subscription=subscription);
		ZeekAgent::query(q);
		}
	}
