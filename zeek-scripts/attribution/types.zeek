##! What attribution knows and returns, and its settings.

@load ../framework

module ZeekAgent::Attribution;

export {
	## Whether agents are asked, and connections attributed, at all.
	const enabled = T &redef;

	## What is added to ``conn.log``, for each side, with the prefixes ``orig_`` and
	## ``resp_``. What is not in here is no column. ``hashes`` is one only with
	## ``hash_executables``.
	const columns: set[string] = {
		"seuids",
		"agents",
		"hostnames",
		"pids",
		"processes",
		"exes",
		"uids",
		"users",
		"ppids",
		"parents",
		"hashes"
	} &redef;

	## Ask for the SHA-256 of each executable, once per host and ``hash_keep``.
	const hash_executables = F &redef;

	## Write each attribution to ``zeek-agent-attribution.log``, rather than the late ones only.
	option log_all = T;

	## Write the line of ancestors of each process to ``zeek-agent-attribution.log``, too.
	option log_lineage = F;

	## When to look again for who was behind a connection that ended as the agent's word
	## was still under way, and when again if it still is.
	option attribution_delay = 5secs;

	## How often to look again.
	option attribution_tries = 3;

	## How far apart the times of the host and of Zeek may be.
	option slack = 5secs;

	## How long a socket is kept after it was closed.
	option socket_keep = 60secs;

	## How long half a socket is of use: one whose local or remote side is unknown.
	option partial_keep = 30secs;

	## How long a socket is kept that no snapshot showed, and whose end was not told.
	option unconfirmed_keep = 10mins;

	## How long a process is kept after it ended.
	option process_keep = 5mins;

	## After which time an executable is hashed again though its file seems unchanged.
	option hash_keep = 1hr;

	## How long all about a host is kept after its agent has gone.
	option host_keep = 60secs;

	## Most sockets of a host; beyond them the oldest give way.
	option max_sockets = 20000;

	## Most processes of a host; beyond them the oldest give way.
	option max_processes = 20000;

	## Most users of a host; further ones stay without name.
	option max_users = 5000;

	## Most hosts.
	option max_hosts = 10000;

	## Most addresses of a host; further ones are not known to be its own.
	option max_addresses = 1000;

	## Most connections that wait for their second look.
	option max_waiting = 10000;

	## Where Zeek learned of a socket or process.
	type Source: enum {
		## Table ``sockets``.
		SOCKETS,
		## Table ``sockets_events``.
		SOCKETS_EVENTS,
		## Table ``socket_events``.
		SOCKET_EVENTS,
		## Table ``processes``.
		PROCESSES,
		## Table ``processes_events``.
		PROCESSES_EVENTS,
		## Table ``process_events``.
		PROCESS_EVENTS,
	};

	## A socket of a host. Who looks a socket up knows its addresses and ports.
	type Entry: record {
		## The process that holds it.
		pid: count &optional;
		## Name of that process.
		process: string &optional;
		## Its user.
		uid: count &optional;
		## Unique ID of the socket.
		seuid: string &optional;
		## When it was first heard of; by Zeek's clock, as all times here.
		first_seen: time;
		## When it was last heard of.
		last_seen: time;
		## When it was closed; unset if it still is open.
		closed_at: time &optional;
		## Where its process was first heard of.
		source: Source;
		## Network namespace of the host that it is in.
		netns: count &optional;
		## Whether it could not be connected.
		is_failed: bool &default=F;
		## Whether it is known by half: a call to bind or to connect.
		is_partial: bool &default=F;
		## Whether the host's last snapshot has it.
		is_confirmed: bool &default=F;
		## Whether it has served: its connection is over and attributed.
		is_used: bool &default=F;
	};

	## A process of a host, as far as it is known.
	type Proc: record {
		## Its ID.
		pid: count;
		## Its name: that of the program, or its path.
		name: string &optional;
		## Path of the program's file.
		exe: string &optional;
		## Arguments, up to 512 bytes.
		cmdline: string &optional;
		## The process that started it.
		ppid: count &optional;
		## Effective user.
		uid: count &optional;
		## When the process started, as the host says; the same for all its programs.
		startup: time &optional;
		## Since when it runs this program.
		since: time;
		## When it ended, or executed another program; unset if it still runs.
		ended: time &optional;
		## Where it was first heard of.
		source: Source &default=PROCESSES;
		## Whether the host's last snapshot has it.
		is_confirmed: bool &default=F;
	};

	## One process behind one side of a connection.
	type Identity: record {
		## ID of the agent.
		hid: string;
		## Name of its host.
		host: string;
		## Unique ID of the socket.
		seuid: string &optional;
		## The process.
		pid: count &optional;
		## Its name.
		process: string &optional;
		## Path of its executable.
		exe: string &optional;
		## Its arguments.
		cmdline: string &optional;
		## Its parent.
		ppid: count &optional;
		## Name of its parent.
		parent: string &optional;
		## Its user.
		uid: count &optional;
		## Name of its user.
		user: string &optional;
		## Hash of its executable.
		sha256: string &optional;
		## How the connection was recognised: 1 by addresses, ports and protocol, 2 without
		## the protocol, 3 by a call to connect, 4 by the listening socket, 5 by a call
		## to bind.
		confidence: count;
		## Table that told of the socket.
		source: string;
		## The socket.
		entry: Entry;
	};

	## Who is behind one side of a connection.
	type Side: record {
		## Whether it is the originator.
		is_orig: bool;
		## Agents of the hosts that have the address: those with a match, if there is one.
		hosts: set[string] &default=set();
		## The matches; all of them have the same ``confidence``.
		found: vector of Identity &default=vector();
	};

	## Who is behind a connection.
	type Result: record {
		## The originator.
		orig: Side;
		## The responder.
		resp: Side;
	};

	## What was counted since the start.
	type Stats: record {
		## Hosts.
		hosts: count &default=0;
		## Sockets of all hosts.
		sockets: count &default=0;
		## Processes of all hosts.
		processes: count &default=0;
		## Sides of connections whose address is that of a host.
		sides: count &default=0;
		## Those for which a process was found in time for ``conn.log``.
		attributed: count &default=0;
		## Those for which one was found later.
		attributed_late: count &default=0;
		## Sockets that gave way to newer ones.
		dropped_sockets: count &default=0;
		## Processes that gave way to newer ones.
		dropped_processes: count &default=0;
		## Users beyond ``max_users``.
		dropped_users: count &default=0;
		## Hosts beyond ``max_hosts``.
		dropped_hosts: count &default=0;
		## Connections that could not wait for a second look.
		dropped_waiting: count &default=0;
	};

	## Name of a table, as in the logs.
	const source_names: table[Source] of string = {
		[SOCKETS] = "sockets",
		[SOCKETS_EVENTS] = "sockets_events",
		[SOCKET_EVENTS] = "socket_events",
		[PROCESSES] = "processes",
		[PROCESSES_EVENTS] = "processes_events",
		[PROCESS_EVENTS] = "process_events"
	};
}

# The same addresses and ports may have several entries, the newest first: after
# one another, or several processes that listen together.
redef record Entry += {
	older: Entry &optional;
};

# A process that executes several programs, or whose ID was in use before.
redef record Proc += {
	older: Proc &optional;
};

# Say how long sockets and processes stay that were not touched for a while.
global socket_expired: function(t: table[addr, port, addr, port] of Entry,
    lh: addr, lp: port, rh: addr, rp: port): interval;
global process_expired: function(t: table[count] of Proc, pid: count): interval;

export {
	## What all nodes hold of a host.
	type Host: record {
		## ID of the agent.
		hid: string;
		## Name of the host.
		name: string &default="<unknown>";
		## Its addresses, without those of the loopback and of links.
		addresses: set[addr];
		## When its agent went.
		gone_at: time &optional;
		## Its sockets, by local address and port, remote address and port; see
		## ``sockets_of``.
		sockets: table[addr, port, addr, port] of Entry &write_expire=socket_keep
		    &expire_func=socket_expired;
		## Whether a socket came without protocol, so that it is worth to look for more.
		has_unknown_protocols: bool &default=F;
		## Network namespaces that its own addresses are in.
		netns: table[addr] of count;
		## Its processes, by ID.
		processes: table[count] of Proc &write_expire=process_keep
		    &expire_func=process_expired;
		## Names of its users.
		users: table[count] of string;
		## SHA-256 of executables, by path.
		hashes: table[string] of string &read_expire=1day;
	};
}

# Counted as things happen.
global stats_now = Stats();

# Bounds that were met.
global warned: set[string];

# Says once that a bound is met; from then on `stats` counts what is lost.
function warn_bound(setting: string, hid: string)
	{
	if ( setting in warned )
		return;

	add warned[setting];
	Reporter::warning(fmt(
	    "attribution meets ZeekAgent::Attribution::%s at agent %s: "
	    + "something is dropped from now on, and counted by stats()", setting, hid));
	}

# Before all that happens.
const never = double_to_time(0.0);

# Returns the moment until which there are so many, the last one if there are fewer.
function nth_oldest(moments: vector of double, n: count): time
	{
	if ( |moments| == 0 || n == 0 )
		return never;

	sort(moments);
	return double_to_time(moments[( n < |moments| ? n : |moments| ) - 1]);
	}
