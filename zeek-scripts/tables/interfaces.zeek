##! Network interfaces of the hosts, with their addresses: ``zeek-agent-interfaces.log``.

@load ../framework

module ZeekAgent_Interfaces;

export {
	## Whether the table is asked for.
	const enabled = T &redef;

	## How often it is asked for.
	option query_interval = 30secs;

	## What is logged; see ``ZeekAgent::SubscriptionType``.
	option subscription = ZeekAgent::Differences;

	## The log stream.
	redef enum Log::ID += { LOG };

	# Columns of interfaces: name mac mtu is_up is_loopback addresses
	type Columns: record {
		name: string &optional &log; ##< name of the interface
		mac: string &optional &log; ##< hardware address, for example ``00:1a:2b:3c:4d:5e``
		mtu: count &optional &log; ##< size of the largest packet, in bytes
		is_up: bool &optional &log; ##< whether the interface is switched on
		is_loopback: bool &optional &log; ##< whether it leads back to the host itself
		addresses: set[addr] &optional &log; ##< IP addresses, without scope
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

event ZeekAgent_Interfaces::query_result(ctx: ZeekAgent::Context,
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
    "SELECT name, mac, mtu, is_up, is_loopback, addresses FROM interfaces";

event zeek_init()
	{
	if ( ! enabled )
		return;

	ZeekAgent::create_log(LOG, Info, Columns, "zeek-agent-interfaces", log_policy);

	local q = ZeekAgent::Query($sql_stmt=statement, $event_=query_result,
	    $schedule_=query_interval, $subscription=subscription,
	    $requires_tables=set("interfaces"));
	ZeekAgent::query(q);
	}
