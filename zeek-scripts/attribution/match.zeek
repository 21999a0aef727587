##! Who is behind a connection: a look at the sockets of the hosts at both ends.
##!
##! The best class of match wins, and all sockets that match in it are returned:
##! 1 same addresses, ports and protocol; 2 the same without the protocol; 3 a call to
##! connect to that peer at that time; 4 a listening socket; 5 a call to bind.

@load ./sockets
@load ./processes

module ZeekAgent::Attribution;

export {
	## Returns who is behind a connection, as far as is known now. That may be asked at
	## any time in the life of a connection.
	global lookup: function(c: connection): Result;
}

# What matters of a connection, seen from one side.
type Flow: record {
	local_h: addr;
	local_p: port;
	remote_h: addr;
	remote_p: port;
	start: time;
	end: time;
	protocol: transport_proto;
	c: connection;
};

# Sockets that match in the best class so far.
type Matches: record {
	class: count &default=6;
	# Those whose time overlaps the connection's.
	entries: vector of Entry &default=vector();
	hosts: vector of Host &default=vector();
	# Those that only do if clocks differ.
	loose_entries: vector of Entry &default=vector();
	loose_hosts: vector of Host &default=vector();
};

# Whether the responder took part, as far as Zeek saw.
function has_answered(c: connection, protocol: transport_proto): bool
	{
	return protocol == udp ? /d/ in c$history : /[ADFHadfh]/ in c$history;
	}

# Compares the times: 0 does not match, 1 matches if clocks differ, 2 matches.
function overlaps(e: Entry, f: Flow, class: count): count
	{
	if ( e$is_used || ( e$is_failed && has_answered(f$c, f$protocol) ) )
		return 0;

	if ( class == 3 )
		return e$first_seen >= f$start - slack && e$first_seen <= f$start + slack ? 2 : 0;

	if ( class == 5 && e$last_seen + partial_keep < f$start )
		return 0;

	if ( e$first_seen <= f$end && ( ! e?$closed_at || e$closed_at >= f$start ) )
		return 2;

	if ( e$first_seen <= f$end + slack
	    && ( ! e?$closed_at || e$closed_at >= f$start - slack ) )
		return 1;

	return 0;
	}

# Notes the sockets with the same addresses and ports that match.
function note(m: Matches, h: Host, head: Entry, f: Flow, class: count,
    is_partial: bool)
	{
	local e = head;

	while ( T )
		{
		local how = e$is_partial == is_partial ? overlaps(e, f, class) : 0;

		if ( how > 0 )
			{
			if ( class < m$class )
				{
				m$class = class;
				m$entries = vector();
				m$hosts = vector();
				m$loose_entries = vector();
				m$loose_hosts = vector();
				}

			if ( how == 2 )
				{
				m$entries += e;
				m$hosts += h;
				}
			else
				{
				m$loose_entries += e;
				m$loose_hosts += h;
				}
			}

		if ( ! e?$older )
			return;

		e = e$older;
		}
	}

# Looks up what has exactly these addresses and ports.
function look(m: Matches, h: Host, lh: addr, lp: port, rh: addr, rp: port,
    f: Flow, class: count, is_partial: bool)
	{
	if ( [lh, lp, rh, rp] in h$sockets )
		note(m, h, h$sockets[lh, lp, rh, rp], f, class, is_partial);
	}

# Looks for sockets that take what comes to a port: on this address, or on any.
function look_for_listeners(m: Matches, h: Host, lp: port, f: Flow,
    class: count, is_partial: bool)
	{
	local none = count_to_port(0, get_port_transport_proto(lp));
	look(m, h, f$local_h, lp, nowhere, none, f, class, is_partial);
	look(m, h, [::], lp, nowhere, none, f, class, is_partial);

	if ( is_v4_addr(f$local_h) )
		look(m, h, 0.0.0.0, lp, nowhere, none, f, class, is_partial);
	}

function unknown_protocol(p: port): port
	{
	return count_to_port(port_to_count(p), unknown_transport);
	}

# Searches one host, one class after the other.
function search(m: Matches, h: Host, f: Flow, is_orig: bool)
	{
	look(m, h, f$local_h, f$local_p, f$remote_h, f$remote_p, f, 1, F);

	if ( m$class == 1 )
		return;

	# A UDP socket that is not bound to an address, and sent to this peer.
	if ( f$protocol == udp )
		{
		look(m, h, 0.0.0.0, f$local_p, f$remote_h, f$remote_p, f, 2, F);
		look(m, h, [::], f$local_p, f$remote_h, f$remote_p, f, 2, F);
		}

	local lp = f$local_p;
	local rp = f$remote_p;

	if ( h$has_unknown_protocols )
		{
		lp = unknown_protocol(lp);
		rp = unknown_protocol(rp);
		look(m, h, f$local_h, lp, f$remote_h, rp, f, 2, F);
		}

	if ( m$class >= 3 && is_orig )
		{
		look(m, h, nowhere, count_to_port(0, f$protocol), f$remote_h, f$remote_p, f, 3, T);

		if ( h$has_unknown_protocols )
			look(m, h, nowhere, count_to_port(0, unknown_transport), f$remote_h, rp, f, 3, T);
		}

	# A UDP socket that takes datagrams may also be the one that sends them first.
	if ( is_orig && f$protocol != udp )
		return;

	if ( m$class >= 4 )
		look_for_listeners(m, h, f$local_p, f, 4, F);

	if ( m$class >= 5 )
		{
		look_for_listeners(m, h, f$local_p, f, 5, T);

		if ( h$has_unknown_protocols )
			look_for_listeners(m, h, lp, f, 5, T);
		}
	}

# Gives a socket that only a snapshot showed its unique ID: the same on all nodes.
function seuid_of(h: Host, e: Entry, f: Flow): string
	{
	if ( ! e?$seuid )
		e$seuid = "S" + sub_bytes(md5_hash(h$hid, e?$pid ? e$pid : 0, f$local_p,
		    e$first_seen), 1, 17);

	return e$seuid;
	}

# Tells all that is known about the process of a socket.
function identify(h: Host, e: Entry, f: Flow, class: count): Identity
	{
	local i = Identity($hid=h$hid, $host=h$name, $seuid=seuid_of(h, e, f),
	    $confidence=class, $source=source_names[e$source], $entry=e);

	if ( e?$process )
		i$process = base_name(e$process);

	if ( e?$uid )
		i$uid = e$uid;

	if ( e?$pid )
		{
		i$pid = e$pid;
		local p = process_of(h, e$pid, f$start, i?$process ? short_name(i$process) :
		    "");

		if ( p?$name && ! i?$process )
			i$process = base_name(p$name);

		if ( p?$uid && ! i?$uid )
			i$uid = p$uid;

		if ( p?$exe )
			{
			i$exe = p$exe;

			if ( p$exe in h$hashes )
				i$sha256 = h$hashes[p$exe];
			}

		if ( p?$cmdline )
			i$cmdline = p$cmdline;

		if ( p?$ppid )
			{
			i$ppid = p$ppid;
			local parent = process_of(h, p$ppid, f$start, "");

			if ( parent?$name )
				i$parent = base_name(parent$name);
			}
		}

	if ( i?$uid && i$uid in h$users )
		i$user = h$users[i$uid];

	return i;
	}

# Whether a socket that takes connections to any address takes those to this one: one in
# a container does not take those to the host.
function is_reachable(h: Host, e: Entry, f: Flow): bool
	{
	return ! e?$netns || f$local_h !in h$netns || h$netns[f$local_h] == e$netns;
	}

# Describes a connection as one side sees it.
function flow_of(c: connection, is_orig: bool): Flow
	{
	local id = c$id;
	local protocol = get_port_transport_proto(id$orig_p);
	local end = c$start_time + c$duration;

	if ( is_orig )
		return Flow($local_h=id$orig_h, $local_p=id$orig_p, $remote_h=id$resp_h,
		    $remote_p=id$resp_p, $start=c$start_time, $end=end,
		    $protocol=protocol, $c=c);

	return Flow($local_h=id$resp_h, $local_p=id$resp_p, $remote_h=id$orig_h,
	    $remote_p=id$orig_p, $start=c$start_time, $end=end,
	    $protocol=protocol, $c=c);
	}

# Looks for who is behind one side among the hosts that have its address.
function search_all(side: Side, f: Flow)
	{
	local m = Matches();

	for ( hid in by_addr[f$local_h] )
		search(m, hosts[hid], f, side$is_orig);

	local entries = |m$entries| > 0 ? m$entries : m$loose_entries;
	local their_hosts = |m$entries| > 0 ? m$hosts : m$loose_hosts;

	for ( i in entries )
		if ( m$class < 4 || is_reachable(their_hosts[i], entries[i], f) )
			{
			side$found += identify(their_hosts[i], entries[i], f, m$class);
			add side$hosts[their_hosts[i]$hid];
			}

	if ( |side$found| == 0 )
		side$hosts = copy(by_addr[f$local_h]);
	}

# Looks for who is behind one side. Nearly always one host has the address, and one
# socket both addresses and ports: that is looked for first.
function look_up_side(c: connection, is_orig: bool): Side
	{
	local side = Side($is_orig=is_orig);
	local id = c$id;
	local a = is_orig ? id$orig_h : id$resp_h;

	if ( a !in by_addr )
		return side;

	local f = flow_of(c, is_orig);

	if ( |by_addr[a]| > 1 )
		{
		search_all(side, f);
		return side;
		}

	for ( hid in by_addr[a] )
		{
		local h = hosts[hid];
		add side$hosts[hid];

		if ( [a, f$local_p, f$remote_h, f$remote_p] in h$sockets )
			{
			local e = h$sockets[a, f$local_p, f$remote_h, f$remote_p];

			if ( ! e?$older && overlaps(e, f, 1) == 2 )
				{
				side$found += identify(h, e, f, 1);
				return side;
				}
			}
		}

	search_all(side, f);
	return side;
	}

function lookup(c: connection): Result
	{
	return Result($orig=look_up_side(c, T), $resp=look_up_side(c, F));
	}
