##! Files as they are made, changed, renamed and deleted: ``zeek-agent-file-events.log``.
##!
##! Agents that have no ``files_events`` are asked for ``files_list`` instead. Then no
##! times and no processes are known, and a renamed file is deleted and created.

@load ../framework

module ZeekAgent_FileEvents;

export {
	## Whether the table is asked for.
	const enabled = T &redef;

	## Whether agents without the table are asked for ``files_list`` instead.
	const fallback_enabled = T &redef;

	## Whether files that are merely opened are logged as well, from ``file_events``,
	## which agents have off unless their settings say for which directories. ``action``
	## is the system call then.
	const opens_enabled = F &redef;

	## Patterns of paths for agents without the table. Which paths ``files_events`` is
	## about is a setting of the agents.
	option paths_to_watch: set[string] = {
		"/etc/*",
		"/root/.ssh/*",
		"/home/*/.ssh/*"
	};

	## How often it is asked for.
	option query_interval = 5secs;

	## The log stream.
	redef enum Log::ID += { LOG };

	# Columns of files_events: time action path old_path is_directory pid process exe uid
	#  count=number
	type Columns: record {
		time_: time &optional &log; ##< when the agent heard of it
		action: string &optional &log; ##< ``created``, ``modified``, ``renamed``, ``deleted``; ``attributes`` for owner, mode, times
		path: string &optional &log; ##< full path; NULL if it was renamed to where nothing is watched; bytes that are not UTF-8 appear as ``\xNN``
		old_path: string &optional &log; ##< for ``renamed``: the path before; NULL if it came from where nothing is watched
		is_directory: bool &optional &log; ##< whether it is a directory
		pid: count &optional &log; ##< process that did it
		process: string &optional &log; ##< name of that process
		exe: string &optional &log; ##< path of its program
		uid: count &optional &log; ##< its effective user ID
		number: count &optional &log; ##< how many events this row stands for
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

	## A file that came, changed or went, where there are no events.
	global snapshot_result: event(ctx: ZeekAgent::Context, columns: Columns);
}

# A changed file is gone and then new. Those that are gone wait here for that.
type Gone: record {
	ctx: ZeekAgent::Context;
	columns: Columns;
};

function tell_deleted(t: table[string, string] of Gone, hid: string,
    path: string): interval
	{
	event query_result(t[hid, path]$ctx, t[hid, path]$columns);
	return 0secs;
	}

global gone: table[string, string] of Gone &create_expire=2secs
    &expire_func=tell_deleted;

event ZeekAgent_FileEvents::query_result(ctx: ZeekAgent::Context,
    columns: Columns)
	{
	ZeekAgent::count_row(ctx);
	Log::write(LOG, Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns));
	}

event ZeekAgent_FileEvents::snapshot_result(ctx: ZeekAgent::Context,
    columns: Columns)
	{
	local hid = ctx$agent_id;
	local path = columns$path;

	if ( ZeekAgent::change_type(ctx) == "gone" )
		{
		columns$action = "deleted";
		gone[hid, path] = Gone($ctx=ctx, $columns=columns);
		return;
		}

	columns$action = [hid, path] in gone ? "modified" : "created";
	delete gone[hid, path];
	event query_result(ctx, columns);
	}

# What agents are asked, with and without the table, and of opened files.
const statement =
    "SELECT time, action, path, old_path, is_directory, pid, process, exe, uid, "
    + "count FROM files_events";
const snapshot_template =
    "SELECT NULL, NULL, path, NULL, type = 'dir', NULL, NULL, NULL, NULL, "
    + "NULL, mtime, size, mode, uid, gid FROM files_list(\"%s\")";
const opens_statement =
    "SELECT time, syscall AS action, path, NULL AS old_path, "
    + "NULL AS is_directory, pid, comm AS process, exe, euid AS uid, NULL AS number FROM file_events";

function watch_events(sql: string, table_name: string)
	{
	local q = ZeekAgent::Query($sql_stmt=sql, $event_=query_result,
	    $schedule_=query_interval, $subscription=ZeekAgent::Events,
	    $requires_tables=set(table_name));
	ZeekAgent::query(q);
	}

function watch_snapshots(path: string)
	{
	local q = ZeekAgent::Query($sql_stmt=fmt(snapshot_template, path),
	    $event_=snapshot_result, $schedule_=query_interval,
	    $subscription=ZeekAgent::Differences, $if_missing_tables=set(
	    "files_events"));
	ZeekAgent::query(q);
	}

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-file-events",
	    log_policy);
	watch_events(statement, "files_events");

	if ( opens_enabled )
		watch_events(opens_statement, "file_events");
	if ( fallback_enabled )
		for ( path in paths_to_watch )
			watch_snapshots(path);
	}
