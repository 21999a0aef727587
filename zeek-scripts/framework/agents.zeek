##! Which agents there are: a table, a log, and what scripts may ask about them.

@load ./versions
@load ./cluster

module ZeekAgent;

export {
	## All agents that are here, by ID, on every node of a cluster. For reading only.
	## Statistics are those of the designated node.
	global agents: table[string] of Agent;

	## An agent joined. Raised on the designated node.
	global agent_joined: event(hid: string, hello: ZeekAgentAPI::AgentHelloV1);

	## An agent left; ``reason`` is ``shutdown`` or ``offline``. Raised on the
	## designated node.
	global agent_left: event(hid: string, reason: string);

	## Time without a hello after which an agent counts as gone. Longer than the
	## agents' own interval, which is a minute.
	option agent_timeout = 10mins;

	## Returns the ID of the host that a result is from.
	global host_id: function(ctx: Context): string;

	## Returns the name of the host that a result is from; else one of its addresses,
	## else ``<unknown>``.
	global hostname: function(ctx: Context): string;

	## Returns the name of the host of an agent, as ``hostname`` does.
	global name_of: function(hid: string): string;

	## Returns the tables that an agent offers; none if it is not known.
	global supported_tables: function(hid: string): set[string];

	## Returns the IDs of the agents that have an address.
	global hosts_by_addr: function(a: addr): set[string];

	## Returns the addresses of an agent; none if it is not known.
	global host_addrs: function(hid: string): set[addr];

	## Whether an agent is here.
	global is_alive: function(hid: string): bool;

	## Returns the counters of an agent; all zero if it is not known.
	global statistics: function(hid: string): Statistics;

	## The stream of ``zeek-agent.log``.
	redef enum Log::ID += { LOG };

	## A line of ``zeek-agent.log``.
	type Info: record {
		ts: time &log; ##< when it was noted
		type_: string &log; ##< ``join``, ``update``, ``reconnect``, ``shutdown`` or ``offline``
		hid: string &log; ##< ID of the agent
		hostname: string &log &optional; ##< name of its host
		addresses: set[addr] &log &optional; ##< addresses of its host
		version: int &log &optional; ##< version of the agent, as a number
		uptime: interval &log &optional; ##< how long the agent runs
		platform: string &log &optional; ##< ``Linux``, ``Darwin`` or ``Windows``
		os_name: string &log &optional; ##< name and version of the operating system
	};

	## Policy hook of ``zeek-agent.log``.
	global log_policy: Log::PolicyHook;
}

# The agents that have an address.
global hosts_with: table[addr] of set[string];

function host_addrs(hid: string): set[addr]
	{
	if ( hid in agents && agents[hid]$hello?$addresses )
		return agents[hid]$hello$addresses;

	return set();
	}

# Puts an agent into the tables, or what is new about it.
function place_agent(agent: Agent)
	{
	for ( old in host_addrs(agent$hid) )
		delete hosts_with[old][agent$hid];

	agents[agent$hid] = agent;

	for ( a in host_addrs(agent$hid) )
		{
		if ( a !in hosts_with )
			hosts_with[a] = set();
		add hosts_with[a][agent$hid];
		}
	}

# Takes an agent out of the tables.
function remove_agent(hid: string)
	{
	for ( a in host_addrs(hid) )
		{
		delete hosts_with[a][hid];
		if ( |hosts_with[a]| == 0 )
			delete hosts_with[a];
		}

	delete agents[hid];
	}

function log_agent(agent: Agent, type_: string)
	{
	local hello = agent$hello;
	local line = Info($ts=network_time(), $type_=type_, $hid=agent$hid);

	if ( hello?$hostname )
		line$hostname = hello$hostname;
	if ( hello?$addresses )
		line$addresses = hello$addresses;
	if ( hello?$agent_version )
		line$version = hello$agent_version;
	if ( hello?$uptime )
		line$uptime = hello$uptime;
	if ( hello?$platform )
		line$platform = hello$platform;
	if ( hello?$os_name )
		line$os_name = hello$os_name;

	Log::write(LOG, line);
	}

function host_id(ctx: Context): string
	{
	return ctx$agent_id;
	}

function name_of(hid: string): string
	{
	if ( hid !in agents )
		return "<unknown>";

	local hello = agents[hid]$hello;
	if ( hello?$hostname && hello$hostname != "" )
		return hello$hostname;

	for ( a in host_addrs(hid) )
		return cat(a);

	return "<unknown>";
	}

function hostname(ctx: Context): string
	{
	return name_of(ctx$agent_id);
	}

function supported_tables(hid: string): set[string]
	{
	if ( hid in agents && agents[hid]$hello?$tables )
		return agents[hid]$hello$tables;

	return set();
	}

function hosts_by_addr(a: addr): set[string]
	{
	if ( a in hosts_with )
		return hosts_with[a];

	return set();
	}

function is_alive(hid: string): bool
	{
	return hid in agents;
	}

function statistics(hid: string): Statistics
	{
	return hid in agents ? agents[hid]$statistics : Statistics();
	}

event zeek_init() &priority=100
	{
	Log::create_stream(LOG, Log::Stream($columns=Info, $path="zeek-agent",
	    $policy=log_policy));
	}
