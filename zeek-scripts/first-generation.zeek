##! What scripts for the first generation of agents call, on top of the framework.
##!
##! Not loaded by default: ``@load zeek-agent/first-generation``. Handlers get a
##! ``Result`` and then one parameter for each column, text as ``string``, whole numbers,
##! times and truth values as ``int``, fractions as ``double``. What is not known is an
##! empty text, or -1. This needs agents of version 3 or newer.
##!
##! ``execute`` never worked in the first generation and is another function now; see
##! ``execute_multiple``.

@load ./framework

module ZeekAgent;

export {
	## What a query wants, and what happened to a row.
	type UpdateType: enum {
		INITIAL, ##< a row that was there at the beginning
		ADD, ##< a new row
		REMOVE, ##< a row that is gone
		BOTH, ##< as wish: initial rows, new ones, and those that are gone
		SNAPSHOT, ##< all rows, each time
	};

	## How often queries run unless they say so.
	const default_query_interval = 10secs &redef;

	## The fields that a query had.
	redef record Query += {
		query: string &default=""; ##< the SQL statement
		utype: UpdateType &default=BOTH; ##< what is wanted
		inter: interval &default=default_query_interval; ##< how often it runs
		resT: string &default=""; ##< not used
		ev: any &optional; ##< the event for the rows
	};

	## What a handler gets first.
	type Result: record {
		host: string; ##< ID of the host
		utype: UpdateType; ##< what happened to the row
		cookie: string &optional; ##< cookie of the query
	};

	## What is known about a host.
	type HostInfo: record {
		uuid: string &default=""; ##< its ID
		hostname: string &default="<unknown>"; ##< its name
	};

	## Sends a query to a host, to a group, or to all.
	global subscribe: function(q: Query, host: string &default="", group: string
	    &default="");

	## Sends a query to hosts and groups, or to all.
	global subscribe_multiple: function(q: Query, host_list: vector of string
	    &default=vector(""), group_list: vector of string &default=vector(
	    ""));

	## Ends what ``subscribe`` began.
	global unsubscribe: function(q: Query, host: string &default="", group: string
	    &default="");

	## Ends what ``subscribe_multiple`` began.
	global unsubscribe_multiple: function(q: Query, host_list: vector of string
	    &default=vector(""), group_list: vector of string &default=vector(
	    ""));

	## Runs a query once on hosts and groups, or on all.
	global execute_multiple: function(q: Query, host_list: vector of string
	    &default=vector(""), group_list: vector of string &default=vector(
	    ""));

	## Makes the hosts in several subnets members of a group.
	global join_multiple: function(range_list: vector of subnet, group: string);

	## Ends what ``join_multiple`` began.
	global leave_multiple: function(range_list: vector of subnet, group: string);

	## Whether two queries are the same but for the cookie.
	global same_event: function(q1: Query, q2: Query): bool;

	## Whether a host is here.
	global isHostAlive: function(host_id: string): bool;

	## Returns what is known about a host.
	global getHostInfo: function(host_id: string): HostInfo;

	## Called for each address of a host that comes.
	global add_host_addr: hook(host_id: string, ip: addr);

	## Called for each address of a host that goes.
	global remove_host_addr: hook(host_id: string, ip: addr);

	## Fills ``addresses`` with those of a host.
	global getIPsOfHost: hook(host_id: string, addresses: vector of addr);

	## A host is here.
	global host_connected: event(host_id: string);

	## A host is gone.
	global host_disconnected: event(host_id: string);
}

# What ``subscribe`` began.
type Subscription: record {
	id: string;
	q: Query;
	to: Targets;
};
global subscriptions: table[string] of Subscription;

# What a query of today has for what is wanted.
const wanted_subscription: table[UpdateType] of SubscriptionType = {
	[INITIAL] = SnapshotPlusDifferences,
	[BOTH] = SnapshotPlusDifferences,
	[ADD] = Events,
	[REMOVE] = Differences,
	[SNAPSHOT] = Snapshots,
};

# Returns the name of the event of a query.
function name_of_event(q: Query): string
	{
	return split_string1(fmt("%s", q$ev), /: |\n/)[0];
	}

function same_event(q1: Query, q2: Query): bool
	{
	return q1$query == q2$query
	    && name_of_event(q1) == name_of_event(q2)
	    && q1$utype == q2$utype
	    && q1$resT == q2$resT
	    && q1$inter == q2$inter;
	}

# Returns whom the two lists mean.
function targets_of_lists(host_list: vector of string, group_list: vector of
    string): Targets
	{
	local to = Targets();
	for ( _, host in host_list )
		if ( host != "" )
			add to$hosts[host];
	for ( _, group in group_list )
		if ( group != "" )
			add to$groups[group];
	if ( |to$hosts| + |to$groups| == 0 )
		add to$groups["all"];

	return to;
	}

# Returns a query of today; the second element tells agents the form of the results.
function of_today(q: Query): Query
	{
	return Query($sql_stmt=q$query, $subscription=wanted_subscription[q$utype],
	    $event_=vector(name_of_event(q), "first-generation"),
	    $cookie=q?$cookie ? q$cookie : "");
	}

function subscribe_multiple(q: Query, host_list: vector of string,
    group_list: vector of string)
	{
	local to = targets_of_lists(host_list, group_list);
	local now = of_today(q);
	now$schedule_ = q$inter;
	local id = query_targets(now, to);
	subscriptions[id] = Subscription($id=id, $q=q, $to=to);
	}

function unsubscribe_multiple(q: Query, host_list: vector of string,
    group_list: vector of string)
	{
	local to = targets_of_lists(host_list, group_list);
	local ended: set[string] = set();
	for ( id, s in subscriptions )
		if ( same_event(s$q, q)
		    && s$to$hosts == to$hosts
		    && s$to$groups == to$groups )
			add ended[id];

	for ( over in ended )
		{
		cancel(over);
		delete subscriptions[over];
		}
	}

function subscribe(q: Query, host: string, group: string)
	{
	subscribe_multiple(q, vector(host), vector(group));
	}

function unsubscribe(q: Query, host: string, group: string)
	{
	unsubscribe_multiple(q, vector(host), vector(group));
	}

function execute_multiple(q: Query, host_list: vector of string,
    group_list: vector of string)
	{
	local once = of_today(q);
	once$subscription = Snapshots;
	query_targets(once, targets_of_lists(host_list, group_list));
	}

function join_multiple(range_list: vector of subnet, group: string)
	{
	for ( _, range in range_list )
		join(range, group);
	}

function leave_multiple(range_list: vector of subnet, group: string)
	{
	for ( _, range in range_list )
		leave(range, group);
	}

function isHostAlive(host_id: string): bool
	{
	return is_alive(host_id);
	}

function getHostInfo(host_id: string): HostInfo
	{
	return is_alive(host_id) ? HostInfo($uuid=host_id, $hostname=name_of(host_id)) :
	    HostInfo();
	}

hook getIPsOfHost(host_id: string, addresses: vector of addr)
	{
	for ( a in host_addrs(host_id) )
		addresses += a;
	}

# The addresses that ``add_host_addr`` told.
global told_addresses: table[string] of set[addr];

event agent_joined(hid: string, hello: ZeekAgentAPI::AgentHelloV1)
	{
	told_addresses[hid] = host_addrs(hid);
	for ( a in told_addresses[hid] )
		hook add_host_addr(hid, a);

	event host_connected(hid);
	}

event agent_left(hid: string, reason: string)
	{
	if ( hid in told_addresses )
		for ( a in told_addresses[hid] )
			hook remove_host_addr(hid, a);

	delete told_addresses[hid];
	event host_disconnected(hid);
	}
