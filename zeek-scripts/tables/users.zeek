##! User accounts of the hosts: ``zeek-agent-users.log``.

@load ../framework

module ZeekAgent_Users;

export {
	## Whether the table is asked for.
	const enabled = T &redef;

	## How often it is asked for.
	option query_interval = 30secs;

	## What is logged; see ``ZeekAgent::SubscriptionType``.
	option subscription = ZeekAgent::Differences;

	## The log stream.
	redef enum Log::ID += { LOG };

	# Columns of users: name full_name is_admin is_system uid gid home shell email
	type Columns: record {
		name: string &optional &log; ##< login name
		full_name: string &optional &log; ##< full name or description; whole GECOS field on Linux
		is_admin: bool &optional &log; ##< whether the user may administer the host
		is_system: bool &optional &log; ##< whether the account is for a service, not for a person
		uid: string &optional &log; ##< numeric id as text; a SID on Windows
		gid: count &optional &log; ##< id of the primary group; NULL on Windows
		home: string &optional &log; ##< home directory
		shell: string &optional &log; ##< login shell; NULL on Windows
		email: string &optional &log; ##< email address, where the system knows one
	};
	# End of columns.

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

	## A row of the table.
	global query_result: event(ctx: ZeekAgent::Context, columns: Columns);
}

event ZeekAgent_Users::query_result(ctx: ZeekAgent::Context, columns: Columns)
	{
	local info = Info($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns);

	if ( ctx?$change )
		info$change = ZeekAgent::change_type(ctx);

	ZeekAgent::count_row(ctx);
	Log::write(LOG, info);
	}

# What agents are asked.
const statement = "SELECT * FROM users";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-users", log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=subscription);
	ZeekAgent::query(q);
	}
