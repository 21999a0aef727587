##! The sockets of hosts.
##!
##! One table per host has them all, by local address and port, remote address and
##! port. What is not known, or open to any, is the address ``::`` with port 0:
##! a listening socket has no remote side, a call to connect no local one. The ports
##! carry the protocol, ``unknown`` if it is.

@load ./hosts

module ZeekAgent::Attribution;

export {
	## A socket together with where it is.
	type Socket: record {
		## Local address; ``::`` or ``0.0.0.0`` for any, ``::`` if not known.
		local_h: addr;
		## Local port; 0 if not known.
		local_p: port;
		## Address of the peer; ``::`` if there is none.
		remote_h: addr;
		## Port of the peer; 0 if there is none.
		remote_p: port;
		## All else.
		entry: Entry;
	};

	## Returns the sockets of a host, those that were just closed included.
	global sockets_of: function(hid: string): vector of Socket;
}

# The address of what is not known.
const nowhere = [::];

# So many sockets may share addresses and ports.
const max_chain = 16;

# Whether a socket is of use still.
function is_alive(e: Entry): bool
	{
	local now = network_time();

	if ( e$is_used )
		return F;

	if ( e?$closed_at )
		return now < e$closed_at + socket_keep;

	if ( e$is_partial )
		return now < e$last_seen + socket_keep;

	return e$is_confirmed || now < e$last_seen + unconfirmed_keep;
	}

# Cuts off what is of no use any more, except the first one.
function prune(head: Entry)
	{
	local e = head;
	local depth = 1;

	while ( e?$older )
		{
		if ( depth >= max_chain )
			{
			delete e$older;
			return;
			}

		if ( is_alive(e$older) )
			{
			e = e$older;
			++depth;
			next;
			}

		local dead = e$older;

		if ( dead?$older )
			e$older = dead$older;
		else
			delete e$older;
		}
	}

function socket_expired(t: table[addr, port, addr, port] of Entry, lh: addr,
    lp: port, rh: addr, rp: port): interval
	{
	local head = t[lh, lp, rh, rp];
	prune(head);

	if ( head$is_confirmed )
		return 10 * socket_keep;

	return head?$older || is_alive(head) ? socket_keep : 0secs;
	}

# Makes room: for a quarter, first of what is closed, and always the oldest.
function evict_sockets(h: Host)
	{
	local wanted = |h$sockets| / 4 + 1;
	local closed: vector of double;
	local still_open: vector of double;

	for ( _, e in h$sockets )
		if ( e?$closed_at )
			closed += time_to_double(e$closed_at);
		else
			still_open += time_to_double(e$last_seen);

	local is_enough = |closed| >= wanted;
	local closed_until = nth_oldest(closed, wanted);
	local open_until = is_enough ? never : nth_oldest(still_open, wanted - |closed|);
	local gone: vector of Socket;

	for ( [lh, lp, rh, rp], e in h$sockets )
		if ( e?$closed_at ? e$closed_at <= closed_until : e$last_seen <= open_until )
			gone += Socket($local_h=lh, $local_p=lp, $remote_h=rh, $remote_p=rp,
			    $entry=e);

	for ( i in gone )
		{
		local s = gone[i];
		delete h$sockets[s$local_h, s$local_p, s$remote_h, s$remote_p];
		}

	warn_bound("max_sockets", h$hid);
	stats_now$dropped_sockets += |gone|;
	}

# Whether two entries surely tell of one socket.
function is_same(known: Entry, e: Entry): bool
	{
	if ( known?$seuid && e?$seuid )
		return known$seuid == e$seuid;

	if ( known$is_partial || e$is_partial || known$is_failed != e$is_failed )
		return F;

	return ! known?$pid || ! e?$pid || known$pid == e$pid;
	}

# Whether two entries tell of one socket with different processes: an event names the one
# that opened it, a snapshot one that has it later.
function is_inherited(known: Entry, e: Entry): bool
	{
	if ( known$is_partial || e$is_partial || known$is_failed || e$is_failed )
		return F;

	if ( ( known$source == SOCKETS ) == ( e$source == SOCKETS ) )
		return F;

	if ( e$source == SOCKETS )
		return e?$closed_at ? known$is_confirmed : ! known$is_confirmed &&
		    ! known?$closed_at;

	return ! known?$closed_at && known$first_seen >= e$first_seen - 1sec;
	}

# Returns the entry of the same socket, if there is one.
function known_as(head: Entry, e: Entry): vector of Entry
	{
	local k = head;
	local inherited: vector of Entry;

	while ( T )
		{
		if ( is_same(k, e) )
			return vector(k);

		if ( is_inherited(k, e) )
			inherited = vector(k);

		if ( ! k?$older )
			return inherited;

		k = k$older;
		}

	return inherited;
	}

# Adds what `e` knows to `known`. Of a connection the process is named that opened or
# accepted it, of a listening socket the one that has it.
function merge(known: Entry, e: Entry, is_connection: bool)
	{
	local is_better = ( e$source == SOCKETS ) != is_connection;

	if ( e?$pid && ( is_better || ! known?$pid || known$pid == e$pid ) )
		{
		if ( ! known?$pid || known$pid != e$pid )
			known$source = e$source;

		known$pid = e$pid;

		if ( e?$process )
			known$process = e$process;

		if ( e?$uid )
			known$uid = e$uid;
		}

	if ( e?$seuid )
		known$seuid = e$seuid;

	if ( e?$netns )
		known$netns = e$netns;

	if ( e$is_confirmed )
		known$is_confirmed = T;

	if ( e$first_seen < known$first_seen )
		known$first_seen = e$first_seen;

	if ( e$last_seen > known$last_seen )
		known$last_seen = e$last_seen;
	}

# Puts a socket before those with the same addresses and ports, which have to be over
# if it is a connection.
function push(older: Entry, e: Entry, is_connection: bool): Entry
	{
	# The same record may still be on its way to other nodes.
	local head = copy(e);
	head$older = older;
	prune(head);

	if ( is_connection && ! e$is_failed && head?$older && ! older?$closed_at )
		older$closed_at = e$first_seen;

	return head;
	}

# Lets the socket have the name from its process: names take most of the memory.
function share_name(h: Host, e: Entry)
	{
	if ( ! e?$process || ! e?$pid || e$pid !in h$processes )
		return;

	local p = h$processes[e$pid];

	if ( p?$name && p$name == e$process )
		e$process = p$name;
	}

# A socket is there.
function socket_opened(h: Host, lh: addr, lp: port, rh: addr, rp: port,
    e: Entry)
	{
	if ( e?$netns && lh in h$addresses )
		h$netns[lh] = e$netns;

	if ( get_port_transport_proto(lp) == unknown_transport )
		h$has_unknown_protocols = T;

	if ( [lh, lp, rh, rp] !in h$sockets )
		{
		if ( |h$sockets| >= max_sockets )
			evict_sockets(h);

		share_name(h, e);
		h$sockets[lh, lp, rh, rp] = e;
		return;
		}

	local head = h$sockets[lh, lp, rh, rp];
	local is_connection = rh != nowhere && ! e$is_partial;
	local known = known_as(head, e);

	if ( |known| == 0 )
		head = push(head, e, is_connection);
	else
		{
		if ( known[0]?$closed_at && e$first_seen >= known[0]$closed_at )
			delete known[0]$closed_at;

		merge(known[0], e, is_connection);
		}

	# Also if it is the same: that starts the time anew.
	h$sockets[lh, lp, rh, rp] = head;
	}

# A socket was closed. If it was not known, the connection it had may still be.
function socket_closed(h: Host, lh: addr, lp: port, rh: addr, rp: port,
    e: Entry)
	{
	local known: vector of Entry;

	if ( [lh, lp, rh, rp] in h$sockets )
		known = known_as(h$sockets[lh, lp, rh, rp], e);

	if ( |known| == 0 )
		{
		if ( e$source != SOCKETS )
			socket_opened(h, lh, lp, rh, rp, e);

		return;
		}

	if ( e$source != SOCKETS )
		merge(known[0], e, rh != nowhere);

	if ( ! known[0]?$closed_at )
		known[0]$closed_at = e$closed_at;

	known[0]$is_confirmed = F;
	h$sockets[lh, lp, rh, rp] = h$sockets[lh, lp, rh, rp];
	}

# A snapshot begins: what it does not have was closed.
function sockets_stale(h: Host, t: time)
	{
	for ( [lh, lp, rh, rp], head in h$sockets )
		{
		local e = head;

		while ( T )
			{
			if ( ! e?$closed_at && e$last_seen < t )
				{
				e$closed_at = t;
				e$is_confirmed = F;
				}

			if ( ! e?$older )
				break;

			e = e$older;
			}
		}
	}

function sockets_of(hid: string): vector of Socket
	{
	local result: vector of Socket;

	if ( hid !in hosts )
		return result;

	for ( [lh, lp, rh, rp], head in hosts[hid]$sockets )
		{
		local e = head;

		while ( T )
			{
			result += Socket($local_h=lh, $local_p=lp, $remote_h=rh, $remote_p=rp,
			    $entry=e);

			if ( ! e?$older )
				break;

			e = e$older;
			}
		}

	return result;
	}
