##! Processes as they come and go: from the table ``processes_events``.

@load ./processes
@load ./sockets-events

module ZeekAgent::Attribution;

export {
	## Whether ``processes_events`` is asked for.
	const use_processes_events = T &redef;

	## A row of the query.
	type ProcessesEventsRow: record {
		time_: time &optional;
		state: string &optional;
		pid: count &optional;
		name: string &optional;
		ppid: count &optional;
		uid: count &optional;
		startup: interval &optional;
		exe: string &optional;
		cmdline: string &optional;
	};

	## A process started or ended.
	global processes_events_row: event(ctx: ZeekAgent::Context,
	    row: ProcessesEventsRow);
}

const processes_events_statement = "SELECT time, state, pid, name, ppid, uid, startup, exe, substr(cmdline, 1, 512) "
    + "FROM processes_events";

event processes_events_row(ctx: ZeekAgent::Context, row: ProcessesEventsRow)
	{
	if ( ! row?$pid )
		return;

	local hid = ctx$agent_id;
	local t = by_our_clock(hid, row?$time_ ? row$time_ : ctx$host_time);
	local p = Proc($pid=row$pid, $since=t, $source=PROCESSES_EVENTS);

	if ( row?$startup )
		p$startup = startup_time(hid, row$startup);
	if ( row?$name )
		p$name = row$name;
	if ( row?$ppid )
		p$ppid = row$ppid;
	if ( row?$uid )
		p$uid = row$uid;
	if ( row?$exe )
		p$exe = row$exe;
	if ( row?$cmdline )
		p$cmdline = row$cmdline;

	if ( row?$state && row$state == "stopped" )
		{
		p$ended = t;
		p$since = p?$startup ? p$startup : t;
		tell(Fact($what=PROCESS_ENDED, $hid=hid, $t=t, $proc=p));
		}
	else
		tell(Fact($what=PROCESS_STARTED, $hid=hid, $t=t, $proc=p));
	}

event zeek_init()
	{
	if ( ! enabled || ! use_processes_events )
		return;

	local q = ZeekAgent::Query($sql_stmt=processes_events_statement,
	    $event_=processes_events_row, $schedule_=events_interval,
	    $subscription=ZeekAgent::Events, $requires_tables=set(
	    "processes_events", "zeek_agent_tables"));
	ZeekAgent::query(q);
	}
