##! What agents tell, in one form whatever the table, and the same on all nodes.
##!
##! Telling a fact twice changes nothing.

@load ./sockets
@load ./processes

module ZeekAgent::Attribution;

export {
	## What a fact is about.
	type What: enum {
		## Name and addresses of a host.
		HOST,
		## A host whose agent has gone.
		HOST_GONE,
		## A host that is to be forgotten at once.
		HOST_RESET,
		## A socket that is open.
		SOCKET_OPENED,
		## A socket that was closed.
		SOCKET_CLOSED,
		## A snapshot of sockets begins: those it does not have were closed.
		SOCKETS_STALE,
		## A process that runs.
		PROCESS_STARTED,
		## A process that ended.
		PROCESS_ENDED,
		## A snapshot of processes begins: those it does not have ended.
		PROCESSES_STALE,
		## The name of a user; empty if there is none of this number any more.
		USER,
		## The hash of an executable.
		HASH,
	};

	## A fact about a host.
	type Fact: record {
		## What it is about.
		what: What;
		## ID of the agent.
		hid: string;
		## When it was so, by Zeek's clock.
		t: time;
		## Addresses, for ``HOST``.
		addresses: set[addr] &optional;
		## Name of the host or user, path of the executable.
		name: string &optional;
		## Number of the user, hash of the executable.
		value: string &optional;
		## The socket.
		socket: Socket &optional;
		## The process.
		proc: Proc &optional;
	};
}

# Applies a fact to what this node knows.
function apply(f: Fact)
	{
	if ( f$what == HOST_RESET )
		{
		if ( f$hid in hosts )
			drop_host(f$hid);

		return;
		}

	if ( f$what == HOST_GONE )
		{
		if ( f$hid in hosts )
			host_gone(f$hid, f$t);

		return;
		}

	if ( ! has_host(f$hid) )
		return;

	local h = hosts[f$hid];

	switch ( f$what )
		{
		case HOST:
			set_host(f$hid, f$name, f$addresses);
			break;
		case SOCKET_OPENED:
			socket_opened(h, f$socket$local_h, f$socket$local_p, f$socket$remote_h,
			    f$socket$remote_p, f$socket$entry);
			break;
		case SOCKET_CLOSED:
			socket_closed(h, f$socket$local_h, f$socket$local_p, f$socket$remote_h,
			    f$socket$remote_p, f$socket$entry);
			break;
		case SOCKETS_STALE:
			sockets_stale(h, f$t);
			break;
		case PROCESS_STARTED:
			process_started(h, f$proc);
			break;
		case PROCESS_ENDED:
			process_ended(h, f$proc);
			break;
		case PROCESSES_STALE:
			processes_stale(h, f$t);
			break;
		case USER:
			name_user(h, to_count(f$value), f$name);
			break;
		case HASH:
			h$hashes[f$name] = f$value;
			break;
		}
	}

# Adds facts about all sockets that share addresses and ports, the oldest first.
function add_sockets(all_facts: vector of Fact, hid: string, s: Socket)
	{
	local e = copy(s$entry);

	if ( e?$older )
		{
		add_sockets(all_facts, hid, Socket($local_h=s$local_h, $local_p=s$local_p,
		    $remote_h=s$remote_h, $remote_p=s$remote_p,
		    $entry=e$older));
		delete e$older;
		}

	all_facts += Fact($what=SOCKET_OPENED, $hid=hid, $t=e$last_seen,
	    $socket=Socket($local_h=s$local_h, $local_p=s$local_p,
	    $remote_h=s$remote_h, $remote_p=s$remote_p, $entry=e));
	}

# Adds facts about all processes with one ID, the oldest first.
function add_processes(all_facts: vector of Fact, hid: string, newest: Proc)
	{
	local p = copy(newest);

	if ( p?$older )
		{
		add_processes(all_facts, hid, p$older);
		delete p$older;
		}

	all_facts += Fact($what=PROCESS_STARTED, $hid=hid, $t=p$since, $proc=p);
	}

# Returns all facts about a host, older ones first.
function facts_of(h: Host): vector of Fact
	{
	local t = network_time();
	local all_facts = vector(Fact($what=HOST_RESET, $hid=h$hid, $t=t), Fact(
	    $what=HOST, $hid=h$hid, $t=t, $name=h$name,
	    $addresses=h$addresses));

	for ( uid, name in h$users )
		all_facts += Fact($what=USER, $hid=h$hid, $t=t, $value=cat(uid), $name=name);

	for ( path, hash in h$hashes )
		all_facts += Fact($what=HASH, $hid=h$hid, $t=t, $value=hash, $name=path);

	for ( _, p in h$processes )
		add_processes(all_facts, h$hid, p);

	for ( [lh, lp, rh, rp], e in h$sockets )
		add_sockets(all_facts, h$hid, Socket($local_h=lh, $local_p=lp, $remote_h=rh,
		    $remote_p=rp, $entry=e));

	if ( h?$gone_at )
		all_facts += Fact($what=HOST_GONE, $hid=h$hid, $t=h$gone_at);

	return all_facts;
	}
