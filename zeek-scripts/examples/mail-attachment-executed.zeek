##! Notices that a host executes a file that came as an attachment of a mail.
##!
##! Zeek hashes attachments as they pass. Whenever a process starts, its host is asked for
##! the hash of the executable, once for each path and ``keep_hashes``.

@load ../framework
@load base/frameworks/notice
@load base/frameworks/files
@load base/protocols/smtp

module MailAttachmentExecuted;

export {
	redef enum Notice::Type += {
		## A host executed what came by mail.
		Mail_Attachment_Executed
	};

	## How long attachments are remembered.
	option keep_attachments = 7days;

	## How long the hash of an executable is taken as its present one.
	option keep_hashes = 10mins;

	## How often hosts are asked for new processes.
	option query_interval = 5secs;

	## An attachment.
	type Attachment: record {
		sha256: string; ##< its hash
		uid: string; ##< unique ID of the connection
		fuid: string; ##< unique ID of the file
		name: string &default="?"; ##< name of the file
	};

	## What the query selects.
	type Columns: record {
		exe: string &optional;
		pid: count &optional;
	};

	## A process started.
	global started: event(ctx: ZeekAgent::Context, columns: Columns);

	## An attachment was seen, by any node of a cluster.
	global seen: event(a: Attachment);
}

# What is asked for the hash of a file.
type HashRow: record {
	sha256: string &optional;
};

global attachments: table[string] of Attachment &create_expire=keep_attachments;
global checked: set[string, string] &create_expire=keep_hashes;

const events_statement = "SELECT exe, pid FROM processes_events WHERE state = 'started' AND exe IS NOT NULL";
const snapshot_statement =
    "SELECT exe, pid FROM processes WHERE exe IS NOT NULL";

event file_new(f: fa_file)
	{
	if ( f$source == "SMTP" )
		Files::add_analyzer(f, Files::ANALYZER_SHA256);
	}

event seen(a: Attachment)
	{
	attachments[a$sha256] = a;
	}

event file_hash(f: fa_file, kind: string, hash: string)
	{
	if ( f$source != "SMTP" || kind != "sha256" || ! f?$conns )
		return;

	for ( _, c in f$conns )
		{
		local a = Attachment($sha256=hash, $uid=c$uid, $fuid=f$id);

		if ( f?$info && f$info?$filename )
			a$name = f$info$filename;

		if ( ZeekAgent::is_designated() )
			event seen(a);
		else
			ZeekAgent::publish(Cluster::node_topic(ZeekAgent::designated_node()), seen, a);

		return;
		}
	}

# Asks a host what an executable is, and compares.
function check(hid: string, exe: string, pid: count)
	{
	local sql = fmt("SELECT sha256 FROM files_hash(%s)", ZeekAgent::quote_path(
	    exe));

	when [hid, exe, pid, sql] ( local answer = ZeekAgent::execute(sql, hid) )
		{
		for ( i in answer$rows )
			{
			local row = answer$rows[i] as HashRow;

			if ( ! row?$sha256 || row$sha256 !in attachments )
				next;

			local a = attachments[row$sha256];
			NOTICE([$note=Mail_Attachment_Executed, $uid=a$uid, $fuid=a$fuid,
			    $identifier=cat(hid, row$sha256), $msg=fmt(
			    "%s executes %s, which came by mail as %s",
			    ZeekAgent::name_of(hid), exe, a$name), $sub=fmt(
			    "process %d, sha256 %s", pid, row$sha256)]);
			}
		}
	}

event MailAttachmentExecuted::started(ctx: ZeekAgent::Context, columns: Columns)
	{
	if ( ZeekAgent::change_type(ctx) == "gone"
	    || ! columns?$exe
	    || ! columns?$pid )
		return;

	local hid = ctx$agent_id;

	if ( |attachments| == 0 || [hid, columns$exe] in checked )
		return;

	add checked[hid, columns$exe];
	check(hid, columns$exe, columns$pid);
	}

event zeek_init()
	{
	ZeekAgent::query(ZeekAgent::Query($sql_stmt=events_statement, $event_=started,
	    $schedule_=query_interval, $subscription=ZeekAgent::Events,
	    $requires_tables=set("processes_events", "files_hash")));
	ZeekAgent::query(ZeekAgent::Query($sql_stmt=snapshot_statement,
	    $event_=started, $schedule_=query_interval,
	    $subscription=ZeekAgent::Differences, $requires_tables=set(
	    "processes", "files_hash"), $if_missing_tables=set(
	    "processes_events")));
	}
