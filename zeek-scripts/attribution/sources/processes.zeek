##! Processes that last: from the table ``processes``.

@load ./clocks

module ZeekAgent::Attribution;

export {
	## Whether ``processes`` is asked for.
	const use_processes = T &redef;

	## How often.
	option processes_interval = 10secs;

	## A row of the query.
	type ProcessesRow: record {
		pid: count &optional;
		name: string &optional;
		ppid: count &optional;
		uid: count &optional;
		startup: interval &optional;
		exe: string &optional;
		cmdline: string &optional;
	};

	## A process is there, or gone.
	global processes_row: event(ctx: ZeekAgent::Context, row: ProcessesRow);
}

const processes_statement = "SELECT pid, name, ppid, uid, startup, exe, substr(cmdline, 1, 512) FROM processes";

function startup_time(hid: string, startup: interval): time
	{
	return by_our_clock(hid, double_to_time(interval_to_double(startup)));
	}

event processes_row(ctx: ZeekAgent::Context, row: ProcessesRow)
	{
	local hid = ctx$agent_id;
	local t = by_our_clock(hid, ctx$host_time);

	if ( is_first_of_snapshot(ctx) )
		tell(Fact($what=PROCESSES_STALE, $hid=hid, $t=t));

	if ( ! row?$pid )
		return;

	local p = Proc($pid=row$pid, $since=t, $is_confirmed=T);

	if ( row?$startup )
		{
		p$startup = startup_time(hid, row$startup);
		p$since = p$startup;
		}

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

	if ( is_gone(ctx) )
		{
		p$ended = t;
		tell(Fact($what=PROCESS_ENDED, $hid=hid, $t=t, $proc=p));
		}
	else
		tell(Fact($what=PROCESS_STARTED, $hid=hid, $t=t, $proc=p));
	}

event zeek_init()
	{
	if ( ! enabled || ! use_processes )
		return;

	local q = ZeekAgent::Query($sql_stmt=processes_statement,
	    $event_=processes_row, $schedule_=processes_interval,
	    $subscription=ZeekAgent::SnapshotPlusDifferences,
	    $requires_tables=set("processes", "zeek_agent_tables"));
	ZeekAgent::query(q);
	}
