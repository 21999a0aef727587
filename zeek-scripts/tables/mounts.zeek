##! File systems that are mounted on the hosts: ``zeek-agent-mounts.log``.

@load ../framework

module ZeekAgent_Mounts;

export {
	## Whether the table is asked for.
	const enabled = T &redef;

	## How often it is asked for.
	option query_interval = 30secs;

	## What is logged; see ``ZeekAgent::SubscriptionType``.
	option subscription = ZeekAgent::Differences;

	## The log stream.
	redef enum Log::ID += { LOG };

	# Columns of mounts: device path type options is_read_only
	type Columns: record {
		device: string &optional &log; ##< device, share or other source
		path: string &optional &log; ##< where it is mounted
		type_: string &optional &log; ##< type of the file system, for example ``ext4``
		options: set[string] &optional &log; ##< options of mount and file system
		is_read_only: bool &optional &log; ##< whether writing is impossible through this mount
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

event ZeekAgent_Mounts::query_result(ctx: ZeekAgent::Context, columns: Columns)
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
    "SELECT device, path, type, options, is_read_only FROM mounts";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-mounts", log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=subscription,
	    $requires_tables=set("mounts"));
	ZeekAgent::query(q);
	}
