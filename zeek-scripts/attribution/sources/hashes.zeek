##! Hashes of the executables of processes: one-shot queries to ``files_hash``.
##!
##! An executable is looked at when a process runs it that was not seen for ``hash_check``,
##! and hashed if it has changed.

@load ./processes

module ZeekAgent::Attribution;

export {
	## For how long an executable is taken as unchanged.
	option hash_check = 60secs;

	## Most executables in one question to a host; there is one question at a time.
	option hash_batch = 20;
}

# An executable that was looked at.
type Looked: record {
	# When.
	at: time;
	# When its file was changed, in microseconds since 1970.
	mtime: int &default=-1;
};

# A row of the answer; no hash if the file is as it was.
type HashRow: record {
	path: string;
	mtime: int &optional;
	sha256: string &optional;
};

# Executables that were looked at, by host and path.
global looked: table[string, string] of Looked &create_expire=hash_keep;

# Executables to look at, by host; there is a question under way while the host is here.
global to_hash: table[string] of set[string] &write_expire=10mins;

# Asks a host for the next hashes.
global ask_hashes: event(hid: string);

# Returns a statement that looks at one file.
function hash_query(hid: string, path: string): string
	{
	local only_this = ZeekAgent::quote_path(path);
	local known = [hid, path] in looked ? looked[hid, path]$mtime : -1;
	return fmt("SELECT %s AS path, mtime + 0 AS mtime, CASE WHEN mtime + 0 = %d THEN NULL "
	    + "ELSE (SELECT sha256 FROM files_hash(%s)) END AS sha256 FROM files_list(%s)", ZeekAgent::quote(path), known, only_this, only_this);
	}

hook told(f: Fact)
	{
	if ( ! hash_executables || f$what != PROCESS_STARTED || ! f$proc?$exe )
		return;

	local hid = f$hid;
	local path = f$proc$exe;

	if ( path == "" || path[0] != "/" || ends_with(path, " (deleted)") )
		return;

	if ( [hid, path] in looked
	    && network_time() < looked[hid, path]$at + hash_check )
		return;

	if ( hid !in to_hash )
		{
		to_hash[hid] = set();
		schedule 1sec { ask_hashes(hid) };
		}

	add to_hash[hid][path];
	}

# Notes that a file is being looked at.
function look_at(hid: string, path: string)
	{
	local mtime = [hid, path] in looked ? looked[hid, path]$mtime : -1;
	looked[hid, path] = Looked($at=network_time(), $mtime=mtime);
	}

function take_hashes(hid: string, answer: ZeekAgent::Answer)
	{
	for ( i in answer$rows )
		{
		local row = answer$rows[i] as HashRow;

		if ( row?$mtime )
			looked[hid, row$path] = Looked($at=network_time(), $mtime=row$mtime);

		if ( row?$sha256 )
			tell(Fact($what=HASH, $hid=hid, $t=network_time(), $name=row$path,
			    $value=row$sha256));
		}
	}

event ask_hashes(hid: string)
	{
	if ( hid !in to_hash )
		return;

	local paths: vector of string;
	local queries: vector of string;

	for ( path in to_hash[hid] )
		if ( |paths| < hash_batch )
			paths += path;

	if ( |paths| == 0 )
		{
		delete to_hash[hid];
		return;
		}

	for ( i in paths )
		{
		queries += hash_query(hid, paths[i]);
		delete to_hash[hid][paths[i]];
		look_at(hid, paths[i]);
		}

	local sql = join_string_vec(queries, " UNION ALL ");

	when [hid, sql] ( local answer = ZeekAgent::execute(sql, hid, 1min) )
		{
		take_hashes(hid, answer);
		event ask_hashes(hid);
		}
	}
