##! Files that came by mail and were then executed on a host: a notice, and
##! ``zeek-agent-executed-attachments.log``.
##!
##! Zeek hashes what it sees in SMTP. For each program that starts on a host the agent is
##! asked, once, for the hash of its file: by the agent's table ``files_hash``, or by
##! osquery's ``hash`` where the former is not there.

@load base/frameworks/files
@load base/frameworks/notice
@load base/protocols/smtp
@load policy/frameworks/files/hash-all-files
@load ../framework
@load ../framework/notes
@load ../tables/processes-events

module ZeekAgent_ExecutedAttachments;

export {
	redef enum Notice::Type += {
		## A program runs on a host whose file came by mail.
		Executed_Attachment,
	};

	## Sources of files that count, as in ``files.log``.
	option sources: set[string] = {"SMTP"};

	## How long an attachment is remembered.
	const remember = 1day &redef;

	## How long the hash of a program's file is taken for the same.
	const hash_lifetime = 10mins &redef;

	## The log stream.
	redef enum Log::ID += { LOG };

	## A line of the log.
	type Info: record {
		t: time &log; ##< when it was noted
		hid: string &log; ##< ID of the host
		host: string &log; ##< name of the host
		pid: count &optional &log; ##< process
		uid: count &optional &log; ##< user it runs as
		exe: string &log; ##< path of the program's file
		sha256: string &log; ##< hash of that file, and of the attachment
		file_id: string &log; ##< ID of the attachment in ``files.log``
	};

	## Policy hook of the log.
	global log_policy: Log::PolicyHook;
}

# The answer of an agent.
type Hash: record {
	sha256: string &optional;
};

# IDs of attachments by their hash.
global attachments: table[string] of string &create_expire=remember;

# Programs whose hash is known, or asked for; empty if it could not be had.
global hashes: table[string, string] of string &create_expire=hash_lifetime;

# Kind of the notes about attachments.
const ATTACHMENT = "attachment";

event file_hash(f: fa_file, kind: string, hash: string)
	{
	if ( kind == "sha256" && f$source in sources )
		ZeekAgent::tell(ATTACHMENT, vector(hash, f$id));
	}

event ZeekAgent::note(kind: string, words: vector of string)
	{
	if ( kind == ATTACHMENT )
		attachments[words[0]] = words[1];
	}

# Returns the statement for the hash of a file of an agent; empty if it has no table for it.
function hash_statement(hid: string, path: string): string
	{
	local tables = ZeekAgent::supported_tables(hid);
	local quoted = gsub(path, /'/, "''");

	# A pattern of the agent's own table cannot say that a letter is no wildcard.
	if ( "files_hash" in tables && /[*?\[\]{}]/ !in path )
		return fmt("SELECT sha256 FROM files_hash('%s')", quoted);
	if ( "osquery_hash" in tables )
		return fmt("SELECT sha256 FROM osquery_hash WHERE path = '%s'", quoted);

	return "";
	}

# Compares a program's hash with those of attachments.
function check(hid: string, columns: ZeekAgent_ProcessesEvents::Columns,
    sha256: string)
	{
	if ( sha256 !in attachments )
		return;

	local info = Info($t=network_time(), $hid=hid, $host=ZeekAgent::name_of(hid),
	    $exe=columns$exe, $sha256=sha256, $file_id=attachments[sha256]);
	if ( columns?$pid )
		info$pid = columns$pid;
	if ( columns?$uid )
		info$uid = columns$uid;

	Log::write(LOG, info);
	NOTICE([$note=Executed_Attachment, $msg=fmt("%s runs %s, which came by mail",
	    info$host, info$exe), $sub=sha256, $identifier=cat(hid, sha256)]);
	}

event ZeekAgent_ProcessesEvents::query_result(ctx: ZeekAgent::Context,
    columns: ZeekAgent_ProcessesEvents::Columns)
	{
	if ( ! columns?$exe || ! columns?$state || columns$state != "started" )
		return;

	local hid = ctx$agent_id;
	local exe = columns$exe;
	if ( [hid, exe] in hashes )
		{
		check(hid, columns, hashes[hid, exe]);
		return;
		}

	local sql = hash_statement(hid, exe);
	if ( sql == "" )
		return;

	hashes[hid, exe] = "";
	when [hid, exe, columns, sql] ( local answer = ZeekAgent::execute(sql, hid) )
		{
		for ( _, row in answer$rows )
			{
			local found = row as Hash;
			if ( found?$sha256 )
				{
				hashes[hid, exe] = found$sha256;
				check(hid, columns, found$sha256);
				}
			}
		if ( ! answer$ok )
			delete hashes[hid, exe];
		}
	}

event zeek_init()
	{
	Log::create_stream(LOG, Log::Stream($columns=Info,
	    $path="zeek-agent-executed-attachments", $policy=log_policy));
	}
