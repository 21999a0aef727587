##! Sockets as they come and go: from the table ``sockets_events``.

@load ./clocks

module ZeekAgent::Attribution;

export {
	## Whether ``sockets_events`` is asked for.
	const use_sockets_events = T &redef;

	## How often events are fetched, from this and other evented tables.
	option events_interval = 2secs;

	## A row of the query.
	type SocketsEventsRow: record {
		time_: time &optional;
		pid: count &optional;
		process: string &optional;
		uid: count &optional;
		protocol: count &optional;
		local_addr: addr &optional;
		local_port: count &optional;
		remote_addr: addr &optional;
		remote_port: count &optional;
		state: string &optional;
		duration: interval &optional;
		netns: count &optional;
		seuid: string &optional;
	};

	## Something happened to a socket.
	global sockets_events_row: event(ctx: ZeekAgent::Context,
	    row: SocketsEventsRow);
}

const sockets_events_statement =
    "SELECT time, pid, process, uid, protocol, local_addr, local_port, "
    + "remote_addr, remote_port, state, duration, netns, seuid FROM sockets_events "
    + "WHERE local_addr IS NULL OR (local_addr NOT LIKE '127.%' "
    + "AND local_addr NOT LIKE '::ffff:127.%' AND local_addr != '::1')";

# Returns what a row tells about a socket itself.
function entry_of_event(row: SocketsEventsRow, t: time): Entry
	{
	local e = Entry($first_seen=t, $last_seen=t, $source=SOCKETS_EVENTS);

	if ( row?$pid )
		e$pid = row$pid;
	if ( row?$process )
		e$process = row$process;
	if ( row?$uid )
		e$uid = row$uid;
	if ( row?$netns )
		e$netns = row$netns;
	if ( row?$seuid )
		e$seuid = row$seuid;

	return e;
	}

event sockets_events_row(ctx: ZeekAgent::Context, row: SocketsEventsRow)
	{
	if ( ! row?$local_port || row$local_port == 0 )
		return;

	local hid = ctx$agent_id;
	local t = by_our_clock(hid, row?$time_ ? row$time_ : ctx$host_time);
	local protocol = row?$protocol ? row$protocol : 0;
	local state = row?$state ? row$state : "established";
	local s = Socket($local_h=row?$local_addr ? row$local_addr : nowhere,
	    $local_p=make_port(row$local_port, protocol), $remote_h=nowhere,
	    $remote_p=make_port(0, protocol), $entry=entry_of_event(row, t));

	if ( row?$remote_addr && row?$remote_port && row$remote_port > 0 )
		{
		s$remote_h = row$remote_addr;
		s$remote_p = make_port(row$remote_port, protocol);
		}

	if ( state == "closed" || state == "expired" )
		{
		s$entry$closed_at = t;

		if ( row?$duration )
			s$entry$first_seen = t - row$duration;

		tell(Fact($what=SOCKET_CLOSED, $hid=hid, $t=t, $socket=s));
		return;
		}

	if ( state == "failed" )
		{
		s$entry$closed_at = t;
		s$entry$is_failed = T;
		}

	tell(Fact($what=SOCKET_OPENED, $hid=hid, $t=t, $socket=s));
	}

event zeek_init()
	{
	if ( ! enabled || ! use_sockets_events )
		return;

	local q = ZeekAgent::Query($sql_stmt=sockets_events_statement,
	    $event_=sockets_events_row, $schedule_=events_interval,
	    $subscription=ZeekAgent::Events, $requires_tables=set(
	    "sockets_events", "zeek_agent_tables"));
	ZeekAgent::query(q);
	}
