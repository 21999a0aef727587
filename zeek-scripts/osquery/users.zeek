##! User accounts, as osquery tells them: ``zeek-agent-osquery-users.log``.

@load ../framework

module ZeekAgent_OsqueryUsers;

export {
	## Whether agents are asked for it.
	const enabled = T &redef;

	## How often it is asked for.
	option query_interval = 30secs;

	## What is logged; see ``ZeekAgent::SubscriptionType``.
	option subscription = ZeekAgent::Differences;

	## The log stream.
	redef enum Log::ID += { LOG };

	## Columns of the answer.
	type Columns: record {
		uid: int &optional &log; ##< user ID
		gid: int &optional &log; ##< ID of the primary group
		uid_signed: int &optional &log; ##< user ID as a signed number
		gid_signed: int &optional &log; ##< group ID as a signed number
		username: string &optional &log; ##< login name
		description: string &optional &log; ##< description of the user
		directory: string &optional &log; ##< home directory
		shell: string &optional &log; ##< login shell
		uuid: string &optional &log; ##< UUID on macOS, SID on Windows
	};

	## A line of the log.
	type Info: record {
		t: time &log; ##< when Zeek received it
		hid: string &log; ##< ID of the host
		host: string &log; ##< name of the host
		change: string &optional &log; ##< ``new`` or ``gone``
		columns: Columns &log;
	};

	## Policy hook of the log.
	global log_policy: Log::PolicyHook;

	## A row of the answer.
	global query_result: event(ctx: ZeekAgent::Context, columns: Columns);
}

event ZeekAgent_OsqueryUsers::query_result(ctx: ZeekAgent::Context,
    columns: Columns)
	{
	local info = Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns);

	if ( ctx?$change )
		info$change = ZeekAgent::change_type(ctx);

	ZeekAgent::count_row(ctx);
	Log::write(LOG, info);
	}

# What agents are asked.
const statement =
    "SELECT uid, gid, uid_signed, gid_signed, username, description, directory, "
    + "shell, uuid FROM osquery_users";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-osquery-users",
	    log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=subscription,
	    $requires_tables=set("osquery_users"));
	ZeekAgent::query(q);
	}
