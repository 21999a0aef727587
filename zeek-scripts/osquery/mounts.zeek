##! Mounted file systems, as osquery tells them: ``zeek-agent-osquery-mounts.log``.

@load ../framework

module ZeekAgent_OsqueryMounts;

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
		device: string &optional &log; ##< device, share or other source
		device_alias: string &optional &log; ##< its other name
		path: string &optional &log; ##< where it is mounted
		type_: string &optional &log; ##< type of the file system
		blocks_size: int &optional &log; ##< size of a block, in bytes
		blocks: int &optional &log; ##< number of blocks
		flags: string &optional &log; ##< options of the mount
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

event ZeekAgent_OsqueryMounts::query_result(ctx: ZeekAgent::Context,
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
    "SELECT device, device_alias, path, type, blocks_size, blocks, flags "
    + "FROM osquery_mounts";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-osquery-mounts",
	    log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=subscription,
	    $requires_tables=set("osquery_mounts"));
	ZeekAgent::query(q);
	}
