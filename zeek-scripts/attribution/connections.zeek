##! Adds to ``conn.log`` who was behind a connection.
##!
##! Zeek removes a connection some seconds after its end, and looks up both sides then.
##! A side that belongs to a host with an agent, and for which nothing is found, is looked
##! up again ``attribution_delay`` later. ``conn.log`` is written then; what is found goes
##! to ``zeek-agent-attribution.log`` with ``late`` set.

@load ./log
@load base/protocols/conn

module ZeekAgent::Attribution;

export {
	## Runs when a connection was looked up, before ``conn.log`` is written. It may change
	## both sides; with ``break`` the connection stays unattributed.
	global attributing: hook(c: connection, orig: Side, resp: Side);

	## A connection with a side that belongs to a host with an agent was looked up.
	global attributed: event(c: connection, orig: Side, resp: Side);

	## A side of a connection was attributed after ``conn.log`` was written.
	global attributed_late: event(c: connection, side: Side);

	## Returns what was counted, and how much is held now.
	global stats: function(): Stats;
}

redef record Conn::Info += {
	## Whether an agent's word is awaited.
	awaits_agents: bool &default=F;
	## Whether the line waits, too; see ``hold-conn-log``.
	is_held: bool &default=F;

	## Unique IDs of the originator's sockets.
	orig_seuids: set[string] &optional &log;
	## IDs of the agents on the originator.
	orig_agents: set[string] &optional &log;
	## Names of the originator's hosts.
	orig_hostnames: set[string] &optional &log;
	## Processes of the originator.
	orig_pids: set[count] &optional &log;
	## Their names.
	orig_processes: set[string] &optional &log;
	## Paths of their executables.
	orig_exes: set[string] &optional &log;
	## Their users, by number.
	orig_uids: set[count] &optional &log;
	## Their users, by name.
	orig_users: set[string] &optional &log;
	## Their parents.
	orig_ppids: set[count] &optional &log;
	## Names of their parents.
	orig_parents: set[string] &optional &log;
	## SHA-256 of their executables.
	orig_hashes: set[string] &optional &log;
	## Unique IDs of the responder's sockets.
	resp_seuids: set[string] &optional &log;
	## IDs of the agents on the responder.
	resp_agents: set[string] &optional &log;
	## Names of the responder's hosts.
	resp_hostnames: set[string] &optional &log;
	## Processes of the responder.
	resp_pids: set[count] &optional &log;
	## Their names.
	resp_processes: set[string] &optional &log;
	## Paths of their executables.
	resp_exes: set[string] &optional &log;
	## Their users, by number.
	resp_uids: set[count] &optional &log;
	## Their users, by name.
	resp_users: set[string] &optional &log;
	## Their parents.
	resp_ppids: set[count] &optional &log;
	## Names of their parents.
	resp_parents: set[string] &optional &log;
	## SHA-256 of their executables.
	resp_hashes: set[string] &optional &log;
};

# All columns that there can be, without prefix.
const all_columns = {
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
};

# Connections that wait for their second look.
global waiting = 0;

# Looks up a connection again, at those sides for which it had no success.
global look_again: event(c: connection, orig: bool, resp: bool);

# Adds what is known about one process behind the originator.
function add_orig(info: Conn::Info, i: Identity)
	{
	if ( i?$seuid )
		{
		if ( ! info?$orig_seuids )
			info$orig_seuids = set();

		add info$orig_seuids[i$seuid];
		}

	if ( i?$pid )
		{
		if ( ! info?$orig_pids )
			info$orig_pids = set();

		add info$orig_pids[i$pid];
		}

	if ( i?$process )
		{
		if ( ! info?$orig_processes )
			info$orig_processes = set();

		add info$orig_processes[i$process];
		}

	if ( i?$exe )
		{
		if ( ! info?$orig_exes )
			info$orig_exes = set();

		add info$orig_exes[i$exe];
		}

	if ( i?$uid )
		{
		if ( ! info?$orig_uids )
			info$orig_uids = set();

		add info$orig_uids[i$uid];
		}

	if ( i?$user )
		{
		if ( ! info?$orig_users )
			info$orig_users = set();

		add info$orig_users[i$user];
		}

	if ( i?$ppid )
		{
		if ( ! info?$orig_ppids )
			info$orig_ppids = set();

		add info$orig_ppids[i$ppid];
		}

	if ( i?$parent )
		{
		if ( ! info?$orig_parents )
			info$orig_parents = set();

		add info$orig_parents[i$parent];
		}

	if ( i?$sha256 )
		{
		if ( ! info?$orig_hashes )
			info$orig_hashes = set();

		add info$orig_hashes[i$sha256];
		}
	}

# Adds what is known about one process behind the responder.
function add_resp(info: Conn::Info, i: Identity)
	{
	if ( i?$seuid )
		{
		if ( ! info?$resp_seuids )
			info$resp_seuids = set();

		add info$resp_seuids[i$seuid];
		}

	if ( i?$pid )
		{
		if ( ! info?$resp_pids )
			info$resp_pids = set();

		add info$resp_pids[i$pid];
		}

	if ( i?$process )
		{
		if ( ! info?$resp_processes )
			info$resp_processes = set();

		add info$resp_processes[i$process];
		}

	if ( i?$exe )
		{
		if ( ! info?$resp_exes )
			info$resp_exes = set();

		add info$resp_exes[i$exe];
		}

	if ( i?$uid )
		{
		if ( ! info?$resp_uids )
			info$resp_uids = set();

		add info$resp_uids[i$uid];
		}

	if ( i?$user )
		{
		if ( ! info?$resp_users )
			info$resp_users = set();

		add info$resp_users[i$user];
		}

	if ( i?$ppid )
		{
		if ( ! info?$resp_ppids )
			info$resp_ppids = set();

		add info$resp_ppids[i$ppid];
		}

	if ( i?$parent )
		{
		if ( ! info?$resp_parents )
			info$resp_parents = set();

		add info$resp_parents[i$parent];
		}

	if ( i?$sha256 )
		{
		if ( ! info?$resp_hashes )
			info$resp_hashes = set();

		add info$resp_hashes[i$sha256];
		}
	}

function names_of(hids: set[string]): set[string]
	{
	local names: set[string];

	for ( hid in hids )
		add names[host(hid)$name];

	return names;
	}

# Adds what is known to the line of `conn.log`.
function fill(info: Conn::Info, orig: Side, resp: Side)
	{
	if ( |orig$hosts| > 0 )
		{
		info$orig_agents = orig$hosts;
		info$orig_hostnames = names_of(orig$hosts);

		for ( i in orig$found )
			add_orig(info, orig$found[i]);
		}

	if ( |resp$hosts| > 0 )
		{
		info$resp_agents = resp$hosts;
		info$resp_hostnames = names_of(resp$hosts);

		for ( i in resp$found )
			add_resp(info, resp$found[i]);
		}
	}

function count_side(side: Side)
	{
	if ( |side$hosts| > 0 )
		++stats_now$sides;

	if ( |side$found| > 0 )
		++stats_now$attributed;
	}

# Forgets a socket that has served its purpose: that of a connection that is over, or a
# call to connect. Not if several match, as then it is not known which.
function settle(side: Side)
	{
	if ( |side$found| != 1 || side$found[0]$confidence > 3 )
		return;

	local e = side$found[0]$entry;

	if ( e?$closed_at || e$is_partial )
		e$is_used = T;
	}

# Whether to look a side up again: it is a host with an agent, but there was no success.
function is_missing(side: Side): bool
	{
	return |side$hosts| > 0 && |side$found| == 0;
	}

event connection_state_remove(c: connection) &priority=-3
	{
	if ( c$id$orig_h !in by_addr && c$id$resp_h !in by_addr )
		return;

	if ( get_port_transport_proto(c$id$orig_p) == icmp )
		return;

	local r = lookup(c);

	if ( ! hook attributing(c, r$orig, r$resp) )
		return;

	count_side(r$orig);
	count_side(r$resp);

	if ( c?$conn )
		fill(c$conn, r$orig, r$resp);

	if ( log_all )
		{
		write(c, r$orig, F);
		write(c, r$resp, F);
		}

	event attributed(c, r$orig, r$resp);
	settle(r$orig);
	settle(r$resp);

	if ( ! is_missing(r$orig) && ! is_missing(r$resp) )
		return;

	if ( waiting >= max_waiting )
		{
		warn_bound("max_waiting", "any");
		++stats_now$dropped_waiting;
		return;
		}

	++waiting;

	if ( c?$conn )
		c$conn$awaits_agents = T;

	schedule attribution_delay { look_again(c, is_missing(r$orig), is_missing(
	    r$resp)) };
	}

# A side was looked up again.
function found_late(c: connection, side: Side)
	{
	if ( |side$found| == 0 )
		return;

	++stats_now$attributed_late;
	write(c, side, ! c?$conn || ! c$conn$is_held);
	event attributed_late(c, side);
	settle(side);
	}

event look_again(c: connection, orig: bool, resp: bool)
	{
	--waiting;
	local r = lookup(c);

	if ( ! orig )
		r$orig = Side($is_orig=T);

	if ( ! resp )
		r$resp = Side($is_orig=F);

	if ( ! hook attributing(c, r$orig, r$resp) )
		return;

	if ( c?$conn )
		fill(c$conn, r$orig, r$resp);

	found_late(c, r$orig);
	found_late(c, r$resp);
	}

function stats(): Stats
	{
	local s = copy(stats_now);
	s$hosts = |hosts|;

	for ( _, h in hosts )
		{
		s$sockets += |h$sockets|;
		s$processes += |h$processes|;
		}

	return s;
	}

# Removes the columns that nobody wants.
event zeek_init() &priority=-100
	{
	local f = Log::get_filter(Conn::LOG, "default");

	if ( f$name != "default" )
		return;

	local unwanted: set[string];

	for ( name in all_columns )
		if ( ! enabled
		    || name !in columns
		    || ( name == "hashes" && ! hash_executables ) )
			{
			add unwanted["orig_" + name];
			add unwanted["resp_" + name];
			}

	if ( |unwanted| == 0 )
		return;

	if ( f?$exclude )
		f$exclude = f$exclude | unwanted;
	else
		f$exclude = unwanted;

	Log::add_filter(Conn::LOG, f);
	}
