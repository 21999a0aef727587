##! Calls to bind, connect and accept: from the audited table ``socket_events``, where
##! there is no ``sockets_events``.

@load ./sockets-events

module ZeekAgent::Attribution;

export {
	## Whether ``socket_events`` is asked for.
	const use_socket_events = T &redef;

	## A row of the query.
	type SocketEventsRow: record {
		syscall: string &optional;
		pid: count &optional;
		process: string &optional;
		uid: count &optional;
		success: bool &optional;
		exit: int &optional;
		local_address: string &optional;
		remote_address: string &optional;
		local_port: count &optional;
		remote_port: count &optional;
		time_: time &optional;
		protocol: count &optional;
		seuid: string &optional;
	};

	## A process made a call.
	global socket_events_row: event(ctx: ZeekAgent::Context, row: SocketEventsRow);
}

# What a call to connect returns that does not wait (EINPROGRESS).
const in_progress = -115;

const socket_events_statement = "SELECT syscall, pid, coalesce(comm, exe), uid, success, exit, local_address, "
    + "remote_address, local_port, remote_port, time, protocol, seuid FROM socket_events "
    + "WHERE family IN (2, 10)";

# Whether an address and a port are known.
function is_side(a: string, p: count): bool
	{
	return p > 0 && is_valid_ip(a);
	}

# Returns where the socket is; no port at all if nothing is known.
function socket_of_call(row: SocketEventsRow, e: Entry): Socket
	{
	local protocol = row?$protocol ? row$protocol : 0;
	local none = make_port(0, protocol);
	local s = Socket($local_h=nowhere, $local_p=none, $remote_h=nowhere,
	    $remote_p=none, $entry=e);

	if ( row?$local_address
	    && row?$local_port
	    && is_side(row$local_address, row$local_port) )
		{
		s$local_h = to_addr(row$local_address);
		s$local_p = make_port(row$local_port, protocol);
		}

	if ( row?$remote_address
	    && row?$remote_port
	    && is_side(row$remote_address, row$remote_port) )
		{
		s$remote_h = to_addr(row$remote_address);
		s$remote_p = make_port(row$remote_port, protocol);
		}

	e$is_partial = s$local_p == none || s$remote_p == none;
	return s;
	}

event socket_events_row(ctx: ZeekAgent::Context, row: SocketEventsRow)
	{
	local hid = ctx$agent_id;
	local t = by_our_clock(hid, row?$time_ ? row$time_ : ctx$host_time);
	local is_connect = row?$syscall && row$syscall == "connect";
	local is_good = ! row?$success
	    || row$success
	    || ( row?$exit && row$exit == in_progress );
	local e = Entry($first_seen=t, $last_seen=t, $source=SOCKET_EVENTS,
	    $is_failed=! is_good);

	if ( row?$pid )
		e$pid = row$pid;
	if ( row?$process )
		e$process = row$process;
	if ( row?$uid )
		e$uid = row$uid;
	if ( row?$seuid )
		e$seuid = row$seuid;

	local s = socket_of_call(row, e);

	# What failed to bind is nothing, and half of what was accepted is the peer's.
	if ( ! is_connect && ( ! is_good || port_to_count(s$local_p) == 0 ) )
		return;

	if ( is_connect && port_to_count(s$remote_p) == 0 )
		return;

	tell(Fact($what=SOCKET_OPENED, $hid=hid, $t=t, $socket=s));
	}

event zeek_init()
	{
	if ( ! enabled || ! use_socket_events )
		return;

	local q = ZeekAgent::Query($sql_stmt=socket_events_statement,
	    $event_=socket_events_row, $schedule_=events_interval,
	    $subscription=ZeekAgent::Events, $requires_tables=set(
	    "socket_events", "zeek_agent_tables"), $if_missing_tables=set(
	    "sockets_events"));
	ZeekAgent::query(q);
	}
