##! Each attribution in a line of its own: ``zeek-agent-attribution.log``.

@load ./match

module ZeekAgent::Attribution;

export {
	## The log stream.
	redef enum Log::ID += { LOG };

	## A line of the log: one process behind one side of a connection.
	type Info: record {
		ts: time &log; ##< when it was found out
		uid: string &log; ##< unique ID of the connection
		is_orig: bool &log; ##< whether it is the originator
		hid: string &log; ##< ID of the agent
		host: string &log; ##< name of the host
		seuid: string &log &optional; ##< unique ID of the socket
		pid: count &log &optional; ##< process
		process: string &log &optional; ##< its name
		exe: string &log &optional; ##< path of its executable
		cmdline: string &log &optional; ##< its arguments
		ppid: count &log &optional; ##< its parent
		parent: string &log &optional; ##< name of its parent
		uid_: count &log &optional; ##< its user
		user: string &log &optional; ##< name of the user
		sha256: string &log &optional; ##< hash of the executable
		confidence: count &log; ##< class of the match, 1 (exact) to 5
		source: string &log; ##< table that told of the socket
		late: bool &log; ##< whether ``conn.log`` had been written before
		lineage: string &log &optional; ##< what the process descends from, if asked for
	};

	## Policy hook of the log.
	global log_policy: Log::PolicyHook;

	## Raised for each line.
	global log_attribution: event(rec: Info);
}

# Writes a line for each process behind a side.
function write(c: connection, side: Side, late: bool)
	{
	for ( n in side$found )
		{
		local i = side$found[n];
		local line = Info($ts=network_time(), $uid=c$uid, $is_orig=side$is_orig,
		    $hid=i$hid, $host=i$host, $confidence=i$confidence,
		    $source=i$source, $late=late);

		if ( i?$seuid )
			line$seuid = i$seuid;
		if ( i?$pid )
			line$pid = i$pid;
		if ( i?$process )
			line$process = i$process;
		if ( i?$exe )
			line$exe = i$exe;
		if ( i?$cmdline )
			line$cmdline = i$cmdline;
		if ( i?$ppid )
			line$ppid = i$ppid;
		if ( i?$parent )
			line$parent = i$parent;
		if ( i?$uid )
			line$uid_ = i$uid;
		if ( i?$user )
			line$user = i$user;
		if ( i?$sha256 )
			line$sha256 = i$sha256;
		if ( log_lineage && i?$pid )
			line$lineage = lineage(i$hid, i$pid, c$start_time);

		Log::write(LOG, line);
		}
	}

event zeek_init() &priority=5
	{
	Log::create_stream(LOG, Log::Stream($columns=Info,
	    $path="zeek-agent-attribution", $policy=log_policy,
	    $ev=log_attribution));
	}
