##! Processes as they start and stop: ``zeek-agent-processes-events.log``.
##!
##! Agents that have no ``processes_events`` are asked for ``processes`` instead. Then
##! processes that live shorter than ``query_interval`` are missed, and no times are known.

@load ../framework

module ZeekAgent_ProcessesEvents;

export {
	## Whether the table is asked for.
	const enabled = T &redef;

	## Whether agents without the table are asked for ``processes`` instead.
	const fallback_enabled = T &redef;

	## How often it is asked for.
	option query_interval = 5secs;

	## The log stream.
	redef enum Log::ID += { LOG };

	# Columns of processes_events: time name pid ppid uid gid ruid rgid priority duration
	#  state exe cmdline cwd startup exit_code exit_signal auid container
	type Columns: record {
		time_: time &optional &log; ##< when it happened, by the clock of the kernel
		name: string &optional &log; ##< path of the program as it was executed, or its short name
		pid: count &optional &log; ##< process ID
		ppid: count &optional &log; ##< process ID of the parent
		uid: count &optional &log; ##< effective user ID
		gid: count &optional &log; ##< effective group ID
		ruid: count &optional &log; ##< real user ID
		rgid: count &optional &log; ##< real group ID
		priority: string &optional &log; ##< priority, in the words or numbers of the platform
		duration: interval &optional &log; ##< how long the process has lived
		state: string &optional &log; ##< ``started``, ``stopped``; if asked for in the settings: ``forked``, and ``running`` for what was there when the first query began
		exe: string &optional &log; ##< path of the program's file
		cmdline: string &optional &log; ##< arguments, joined by spaces; may be cut at the end
		cwd: string &optional &log; ##< current directory
		startup: interval &optional &log; ##< when the process started, as time since 1970-01-01 UTC, as in ``processes``
		exit_code: count &optional &log; ##< for ``stopped``: exit status, NULL if a signal ended it
		exit_signal: count &optional &log; ##< for ``stopped``: number of the signal that ended it
		auid: count &optional &log; ##< user ID with which the session logged in; NULL if none
		container: string &optional &log; ##< ID or name of the container it runs in; NULL if none
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

	## A process that came or went, where there are no events.
	global snapshot_result: event(ctx: ZeekAgent::Context, columns: Columns);
}

# A process that executes another program is gone and then new. Those that are gone wait
# here for that.
type Gone: record {
	ctx: ZeekAgent::Context;
	columns: Columns;
};

function tell_stopped(t: table[string, count] of Gone, hid: string, pid: count)
    : interval
	{
	event query_result(t[hid, pid]$ctx, t[hid, pid]$columns);
	return 0secs;
	}

global gone: table[string, count] of Gone &create_expire=2secs
    &expire_func=tell_stopped;

event ZeekAgent_ProcessesEvents::query_result(ctx: ZeekAgent::Context,
    columns: Columns)
	{
	ZeekAgent::count_row(ctx);
	Log::write(LOG, Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns));
	}

# Whether two rows are about one process.
function is_same(one: Columns, other: Columns): bool
	{
	return one?$startup && other?$startup && one$startup == other$startup;
	}

event ZeekAgent_ProcessesEvents::snapshot_result(ctx: ZeekAgent::Context,
    columns: Columns)
	{
	local hid = ctx$agent_id;
	local pid = columns$pid;

	if ( ZeekAgent::change_type(ctx) == "gone" )
		{
		columns$state = "stopped";
		gone[hid, pid] = Gone($ctx=ctx, $columns=columns);
		return;
		}

	if ( [hid, pid] in gone && is_same(gone[hid, pid]$columns, columns) )
		delete gone[hid, pid];
	columns$state = "started";
	event query_result(ctx, columns);
	}

# What agents are asked, with and without the table.
const statement =
    "SELECT time, name, pid, ppid, uid, gid, ruid, rgid, priority, duration, "
    + "state, exe, cmdline, cwd, startup, exit_code, exit_signal, auid, container "
    + "FROM processes_events";
const snapshot_statement =
    "SELECT NULL AS time, name, pid, ppid, uid, gid, ruid, rgid, "
    + "NULL AS priority, NULL AS duration, NULL AS state, exe, cmdline, cwd, startup, "
    + "NULL AS exit_code, NULL AS exit_signal, NULL AS auid, container FROM processes";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-processes-events",
	    log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=ZeekAgent::Events,
	    $requires_tables=set("processes_events"));
	ZeekAgent::query(q);

	if ( ! fallback_enabled )
		return;

	local snapshot = ZeekAgent::Query($sql_stmt=snapshot_statement,
	    $event_=snapshot_result, $schedule_=query_interval,
	    $subscription=ZeekAgent::Differences, $if_missing_tables=set(
	    "processes_events"));
	ZeekAgent::query(snapshot);
	}
