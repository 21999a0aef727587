##! The columns that attribution adds to ``conn.log``.

@load ./hosts
@load base/protocols/conn

module ZeekAgent::Attribution;

redef record Conn::Info += {
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
