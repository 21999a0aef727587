##! Calls that start processes: from the audited table ``process_events``, where there is
##! no ``processes_events``.

@load ./processes-events

module ZeekAgent::Attribution;

export {
	## Whether ``process_events`` is asked for.
	const use_process_events = T &redef;

	## A row of the query.
	type ProcessEventsRow: record {
		syscall: string &optional;
		pid: count &optional;
		child_pid: count &optional;
		ppid: count &optional;
		uid: count &optional;
		exe: string &optional;
		cmdline: string &optional;
		time_: time &optional;
	};

	## A process executed a program, or made another process.
	global process_events_row: event(ctx: ZeekAgent::Context,
	    row: ProcessEventsRow);
}

const process_events_statement = "SELECT syscall, pid, child_pid, ppid, euid, exe, substr(cmdline, 1, 512), time "
    + "FROM process_events";

event process_events_row(ctx: ZeekAgent::Context, row: ProcessEventsRow)
	{
	if ( ! row?$pid || ! row?$syscall )
		return;

	local is_exec = starts_with(row$syscall, "exec");

	if ( ! is_exec && ! row?$child_pid )
		return;

	local hid = ctx$agent_id;
	local t = by_our_clock(hid, row?$time_ ? row$time_ : ctx$host_time);
	local p = Proc($pid=is_exec ? row$pid : row$child_pid, $since=t,
	    $source=PROCESS_EVENTS);

	if ( ! is_exec )
		p$ppid = row$pid;
	else if ( row?$ppid )
		p$ppid = row$ppid;

	if ( row?$uid )
		p$uid = row$uid;

	if ( row?$exe )
		{
		p$exe = row$exe;
		p$name = row$exe;
		}

	if ( row?$cmdline )
		p$cmdline = row$cmdline;

	# A child may have executed a program before its parent's call returned.
	if ( ! is_exec
	    && hid in hosts
	    && p$pid in hosts[hid]$processes
	    && are_close(hosts[hid]$processes[p$pid]$since, t, slack) )
		return;

	tell(Fact($what=PROCESS_STARTED, $hid=hid, $t=t, $proc=p));
	}

event zeek_init()
	{
	if ( ! enabled || ! use_process_events )
		return;

	local q = ZeekAgent::Query($sql_stmt=process_events_statement,
	    $event_=process_events_row, $schedule_=events_interval,
	    $subscription=ZeekAgent::Events, $requires_tables=set(
	    "process_events", "zeek_agent_tables"), $if_missing_tables=set(
	    "processes_events"));
	ZeekAgent::query(q);
	}
