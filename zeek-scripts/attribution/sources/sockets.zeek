##! Sockets that last: from the table ``sockets``.

@load ./clocks

module ZeekAgent::Attribution;

export {
	## Whether ``sockets`` is asked for.
	const use_sockets = T &redef;

	## How often.
	option sockets_interval = 10secs;

	## A row of the query.
	type SocketsRow: record {
		pid: count &optional;
		process: string &optional;
		uid: count &optional;
		protocol: count &optional;
		local_addr: addr &optional;
		local_port: count &optional;
		remote_addr: addr &optional;
		remote_port: count &optional;
		netns: count &optional;
	};

	## A socket is there, or gone.
	global sockets_row: event(ctx: ZeekAgent::Context, row: SocketsRow);
}

# The user comes along, as the process may be gone when the next snapshot of processes
# is taken.
const sockets_statement =
    "SELECT s.pid, s.process, p.uid, s.protocol, s.local_addr, s.local_port, "
    + "s.remote_addr, s.remote_port, s.netns FROM sockets s LEFT JOIN processes p "
    + "ON p.pid = s.pid WHERE s.pid IS NOT NULL AND s.protocol IN (6, 17) "
    + "AND s.local_port > 0 AND s.local_addr NOT LIKE '127.%' "
    + "AND s.local_addr NOT LIKE '::ffff:127.%' AND s.local_addr != '::1'";

event sockets_row(ctx: ZeekAgent::Context, row: SocketsRow)
	{
	local hid = ctx$agent_id;
	local t = by_our_clock(hid, ctx$host_time);

	if ( is_first_of_snapshot(ctx) )
		tell(Fact($what=SOCKETS_STALE, $hid=hid, $t=t));

	if ( ! row?$local_addr || ! row?$local_port || ! row?$protocol )
		return;

	local s = Socket($local_h=row$local_addr, $local_p=make_port(row$local_port,
	    row$protocol), $remote_h=nowhere, $remote_p=make_port(0,
	    row$protocol), $entry=Entry($first_seen=t, $last_seen=t,
	    $source=SOCKETS, $is_confirmed=T));

	if ( row?$remote_addr && row?$remote_port && row$remote_port > 0 )
		{
		s$remote_h = row$remote_addr;
		s$remote_p = make_port(row$remote_port, row$protocol);
		}

	if ( row?$pid )
		s$entry$pid = row$pid;
	if ( row?$process )
		s$entry$process = row$process;
	if ( row?$uid )
		s$entry$uid = row$uid;
	if ( row?$netns )
		s$entry$netns = row$netns;

	if ( is_gone(ctx) )
		{
		s$entry$closed_at = t;
		tell(Fact($what=SOCKET_CLOSED, $hid=hid, $t=t, $socket=s));
		}
	else
		tell(Fact($what=SOCKET_OPENED, $hid=hid, $t=t, $socket=s));
	}

event zeek_init()
	{
	if ( ! enabled || ! use_sockets )
		return;

	local q = ZeekAgent::Query($sql_stmt=sockets_statement, $event_=sockets_row,
	    $schedule_=sockets_interval,
	    $subscription=ZeekAgent::SnapshotPlusDifferences,
	    $requires_tables=set("sockets", "processes", "zeek_agent_tables"));
	ZeekAgent::query(q);
	}
