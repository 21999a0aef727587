##! Notices changes of the keys with which users may log in by SSH.

@load ../framework
@load base/frameworks/notice

module AuthorizedKeysChanged;

export {
	redef enum Notice::Type += {
		## A key was added.
		Authorized_Key_Added,
		## A key was removed.
		Authorized_Key_Removed,
	};

	## Patterns of the files with keys.
	option key_files: set[string] = {
		"/root/.ssh/authorized_keys",
		"/home/*/.ssh/authorized_keys",
		"/Users/*/.ssh/authorized_keys"
	};

	## How often hosts are asked.
	option query_interval = 10secs;

	## What the query selects.
	type Columns: record {
		path: string &optional;
		content: string &optional;
	};

	## A line was added or removed.
	global changed: event(ctx: ZeekAgent::Context, columns: Columns);
}

const statement = "SELECT path, content FROM files_lines(%s)";

event AuthorizedKeysChanged::changed(ctx: ZeekAgent::Context, columns: Columns)
	{
	local what = ZeekAgent::change_type(ctx);

	if ( what == "" || ! columns?$path || ! columns?$content )
		return;

	local is_new = what == "new";
	NOTICE([$note=is_new ? Authorized_Key_Added : Authorized_Key_Removed,
	    $identifier=cat(ctx$agent_id, columns$path, columns$content,
	    ctx$host_time), $msg=fmt("a key was %s %s on %s", is_new ?
	    "added to" : "removed from", columns$path, ZeekAgent::hostname(
	    ctx)), $sub=columns$content]);
	}

event zeek_init()
	{
	for ( path in key_files )
		ZeekAgent::query(ZeekAgent::Query($sql_stmt=fmt(statement, ZeekAgent::quote(
		    path)), $event_=changed, $schedule_=query_interval,
		    $subscription=ZeekAgent::Differences, $requires_tables=set(
		    "files_lines")));
	}
