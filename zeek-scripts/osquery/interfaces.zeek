##! Network interfaces and their addresses, as osquery tells them: ``zeek-agent-osquery-interfaces.log``.

@load ../framework

module ZeekAgent_OsqueryInterfaces;

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
		interface: string &optional &log; ##< name of the interface
		mac: string &optional &log; ##< hardware address
		ip: string &optional &log; ##< IP address
		mask: string &optional &log; ##< its netmask
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

event ZeekAgent_OsqueryInterfaces::query_result(ctx: ZeekAgent::Context,
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
const statement = "SELECT a.interface, d.mac, a.address AS ip, a.mask "
    + "FROM osquery_interface_addresses a "
    + "LEFT JOIN osquery_interface_details d USING (interface)";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-osquery-interfaces",
	    log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=subscription,
	    $requires_tables=set("osquery_interface_addresses",
	    "osquery_interface_details"));
	ZeekAgent::query(q);
	}
