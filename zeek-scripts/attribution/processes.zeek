##! The processes of hosts, their users, and what they descend from.

@load ./hosts

module ZeekAgent::Attribution;

export {
	## Returns a process as it was at a moment, now if that is left out. If it is not
	## known, only its ``pid`` is set.
	global process: function(hid: string, pid: count, at: time
	    &default=double_to_time(0.0)): Proc;

	## Returns the ancestors of a process, its parent first, back to the first process
	## that is known.
	global parents: function(hid: string, pid: count, at: time
	    &default=double_to_time(0.0)): vector of Proc;

	## Returns the line that a process descends in, as ``sshd > bash > curl``.
	global lineage: function(hid: string, pid: count, at: time
	    &default=double_to_time(0.0)): string;

	## Returns the name of a user, the number if it has none.
	global user: function(hid: string, uid: count): string;
}

# So many programs of one process, or processes with one ID, are kept.
const max_programs = 16;

# No line of processes is longer.
const max_ancestors = 64;

# What stands for a process that is not known.
global nobody = Proc($pid=0, $since=double_to_time(0.0));

# Returns a name without the directories of a path; many names are none.
function base_name(name: string): string
	{
	if ( /^(\/|[A-Za-z]:\\)/ !in name )
		return name;

	local parts = split_string(name, /[\/\\]/);
	return parts[|parts| - 1];
	}

# Returns the name of a process.
function name_of(p: Proc): string
	{
	return p?$name ? base_name(p$name) : "?";
	}

# Returns the name as Linux has it, no longer than 15 bytes.
function short_name(name: string): string
	{
	local base = base_name(name);
	return |base| > 15 ? sub_bytes(base, 1, 15) : base;
	}

function has_ended(p: Proc): bool
	{
	local now = network_time();

	if ( p?$ended )
		return now >= p$ended + process_keep;

	return ! p$is_confirmed && now >= p$since + unconfirmed_keep;
	}

function process_expired(t: table[count] of Proc, pid: count): interval
	{
	local p = t[pid];

	if ( has_ended(p) )
		return 0secs;

	# What it ran before is over for long.
	if ( p?$older && has_ended(p$older) )
		delete p$older;

	return p$is_confirmed ? 10 * process_keep : process_keep;
	}

# Makes room: for a quarter, first of what has ended, and always the oldest.
function evict_processes(h: Host)
	{
	local wanted = |h$processes| / 4 + 1;
	local ended: vector of double;
	local running: vector of double;

	for ( _, p in h$processes )
		if ( p?$ended )
			ended += time_to_double(p$ended);
		else
			running += time_to_double(p$since);

	local is_enough = |ended| >= wanted;
	local ended_until = nth_oldest(ended, wanted);
	local running_until = is_enough ? never : nth_oldest(running, wanted - |ended|);
	local gone: vector of count;

	for ( pid, p in h$processes )
		if ( p?$ended ? p$ended <= ended_until : p$since <= running_until )
			gone += pid;

	for ( i in gone )
		delete h$processes[gone[i]];

	warn_bound("max_processes", h$hid);
	stats_now$dropped_processes += |gone|;
	}

# Whether two moments are no further apart than that.
function are_close(one: time, other: time, limit: interval): bool
	{
	return one <= other + limit && other <= one + limit;
	}

# Whether two records tell of one program in one process. Names may be paths, and
# short; one source knows the file, another does not.
function is_same_program(known: Proc, p: Proc): bool
	{
	if ( known?$startup
	    && p?$startup
	    && ! are_close(known$startup, p$startup, 1sec) )
		return F;

	if ( known?$ended && p$since > known$ended )
		return F;

	if ( known?$exe && p?$exe )
		return known$exe == p$exe;

	return ! known?$name
	    || ! p?$name
	    || short_name(known$name) == short_name(p$name);
	}

function merge_process(known: Proc, p: Proc)
	{
	if ( p?$exe )
		known$exe = p$exe;

	if ( p?$cmdline )
		known$cmdline = p$cmdline;

	if ( p?$ppid )
		known$ppid = p$ppid;

	if ( p?$uid )
		known$uid = p$uid;

	if ( p?$startup )
		known$startup = p$startup;

	if ( p?$name && ( ! known?$name || p$source == PROCESSES ) )
		known$name = p$name;

	if ( p$is_confirmed )
		known$is_confirmed = T;

	if ( p$since < known$since )
		known$since = p$since;
	}

# A process is there, or executes another program.
function process_started(h: Host, p: Proc)
	{
	local head = p;

	if ( p$pid !in h$processes )
		{
		if ( |h$processes| >= max_processes )
			evict_processes(h);
		}
	else if ( is_same_program(h$processes[p$pid], p) )
		{
		head = h$processes[p$pid];
		merge_process(head, p);
		delete head$ended;
		}
	else
		{
		# The same record may still be on its way to other nodes.
		head = copy(p);
		head$older = h$processes[p$pid];

		if ( ! head$older?$ended )
			head$older$ended = p$since;

		# A snapshot tells when the process started, not when it came to this program.
		if ( p$source == PROCESSES && p$since < head$older$ended )
			head$since = head$older$ended;

		local oldest = head;
		local programs = 1;

		while ( oldest?$older && ++programs < max_programs )
			oldest = oldest$older;

		delete oldest$older;
		}

	# Also if it is the same: that starts the time anew.
	h$processes[p$pid] = head;
	}

# A process ended. It may not have been known; what it had open may still be.
function process_ended(h: Host, p: Proc)
	{
	local is_known = p$pid in h$processes
	    && is_same_program(h$processes[p$pid], p);

	if ( ! is_known && p$source == PROCESSES )
		return;

	if ( ! is_known )
		{
		process_started(h, p);
		return;
		}

	local head = h$processes[p$pid];
	head$ended = p$ended;
	head$is_confirmed = F;
	h$processes[p$pid] = head;
	}

# A snapshot begins: what it does not have has ended.
function processes_stale(h: Host, t: time)
	{
	for ( _, p in h$processes )
		if ( ! p?$ended && p$since < t )
			{
			p$ended = t;
			p$is_confirmed = F;
			}
	}

function name_user(h: Host, uid: count, name: string)
	{
	if ( name == "" )
		delete h$users[uid];
	else if ( uid in h$users || |h$users| < max_users )
		h$users[uid] = name;
	else
		{
		warn_bound("max_users", h$hid);
		++stats_now$dropped_users;
		}
	}

# Returns the process that had an ID at a moment. Where the clocks leave a choice
# between its programs, the one with the given name.
function process_of(h: Host, pid: count, at: time, name: string): Proc
	{
	if ( pid !in h$processes )
		return nobody;

	local p = h$processes[pid];
	local found = nobody;
	local is_exact = F;

	while ( T )
		{
		if ( p$since <= at + slack && ( ! p?$ended || p$ended >= at - slack ) )
			{
			if ( name != "" && p?$name && short_name(p$name) == name )
				return p;

			local fits = p$since <= at && ( ! p?$ended || p$ended >= at );

			if ( found$since == nobody$since || ( fits && ! is_exact ) )
				found = p;

			is_exact = is_exact || fits;
			}

		if ( ! p?$older )
			return found;

		p = p$older;
		}

	return found;
	}

function moment(at: time): time
	{
	return time_to_double(at) > 0.0 ? at : network_time();
	}

function process(hid: string, pid: count, at: time): Proc
	{
	local p = hid in hosts ? process_of(hosts[hid], pid, moment(at), "") : nobody;
	return p$since > nobody$since ? p : Proc($pid=pid, $since=nobody$since);
	}

function parents(hid: string, pid: count, at: time): vector of Proc
	{
	local line: vector of Proc;
	local p = process(hid, pid, at);

	while ( p?$ppid && p$ppid > 0 && p$ppid != p$pid && |line| < max_ancestors )
		{
		p = process(hid, p$ppid, at);

		if ( ! p?$name )
			break;

		line += p;
		}

	return line;
	}

function lineage(hid: string, pid: count, at: time): string
	{
	local line = parents(hid, pid, at);
	local p = process(hid, pid, at);
	local text = name_of(p);

	for ( i in line )
		text = name_of(line[i]) + " > " + text;

	return text;
	}

function user(hid: string, uid: count): string
	{
	return hid in hosts && uid in hosts[hid]$users ? hosts[hid]$users[uid] : cat(
	    uid);
	}
