##! Services of the hosts, and whether they run: ``zeek-agent-services.log``.

@load ../framework

module ZeekAgent_Services;

export {
	## Whether the table is asked for.
	const enabled = T &redef;

	## How often it is asked for.
	option query_interval = 60secs;

	## What is logged; see ``ZeekAgent::SubscriptionType``.
	option subscription = ZeekAgent::Differences;

	## The log stream.
	redef enum Log::ID += { LOG };

	# Columns of services: name description is_running is_enabled path pid
	#  active_state sub_state
	type Columns: record {
		name: string &optional &log; ##< name of the service, for example ``ssh.service``
		description: string &optional &log; ##< what it is, for people; NULL while it is not loaded
		is_running: bool &optional &log; ##< whether it runs right now
		is_enabled: bool &optional &log; ##< whether it starts by itself; NULL where others decide, as for ``static`` units
		path: string &optional &log; ##< file that defines the service
		pid: count &optional &log; ##< main process, if it has one
		active_state: string &optional &log; ##< ``active``, ``inactive``, ``failed``, ...
		sub_state: string &optional &log; ##< state in detail: ``running``, ``exited``, ``dead``, ...
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

event ZeekAgent_Services::query_result(ctx: ZeekAgent::Context,
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
    "SELECT name, description, is_running, is_enabled, path, pid, "
    + "active_state, sub_state FROM services";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-services", log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=subscription,
	    $requires_tables=set("services"));
	ZeekAgent::query(q);
	}
