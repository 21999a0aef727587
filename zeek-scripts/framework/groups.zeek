##! Groups at run time, and which agents a query is for.
##!
##! An agent is in the groups of its configuration, in ``all`` and in that of its
##! platform: those it knows itself, and Zeek only names them. Groups that scripts
##! make here are kept by Zeek, which sends their queries to each member. Names are
##! hierarchical: a member of ``geo/de`` is also in ``geo``, and not in ``ge``.

@load ./agents

module ZeekAgent;

export {
	# On other nodes of a cluster than the designated one these four do nothing, as it
	# runs the same script.

	## Makes all agents that have an address in ``range`` members of a group, now and
	## later.
	global join: function(range: subnet, group: string);

	## Ends what ``join`` began.
	global leave: function(range: subnet, group: string);

	## Makes one agent a member of a group, now or when it comes.
	global add_to_group: function(hid: string, group: string);

	## Ends what ``add_to_group`` began.
	global remove_from_group: function(hid: string, group: string);

	## Returns the groups that an agent is in at run time, with all above them.
	global groups_of: function(hid: string): set[string];

	## Returns the agents that are here and, at run time, in a group or one below it.
	global members: function(group: string): set[string];

	## An agent became a member of a group at run time. Raised on the designated node.
	global agent_joined_group: event(hid: string, group: string);

	## An agent is no more a member of a group. Raised on the designated node.
	global agent_left_group: event(hid: string, group: string);
}

# By name of the group: who is in it.
global group_ranges: table[string] of set[subnet];
global group_hosts: table[string] of set[string];

# Tells that the groups of an agent may have changed.
global regroup: function(hid: string);

# Returns the name of a group as topics have it: lower case, no stray slashes.
function group_name(text: string): string
	{
	local parts: vector of string = vector();
	for ( _, part in split_string(to_lower(strip(text)), /\//) )
		if ( part != "" )
			parts += part;

	return join_string_vec(parts, "/");
	}

# Returns a group and all groups it lies in.
function with_parents(group: string): set[string]
	{
	local found: set[string] = set();
	local name = "";
	for ( _, part in split_string(group_name(group), /\//) )
		{
		name = name == "" ? part : fmt("%s/%s", name, part);
		add found[name];
		}

	return found;
	}

# Returns the groups that an agent is to be in.
function wanted_groups(hid: string): set[string]
	{
	local found: set[string] = set();

	for ( group, hosts in group_hosts )
		if ( hid in hosts )
			found = found | with_parents(group);

	for ( ranged, ranges in group_ranges )
		for ( a in host_addrs(hid) )
			if ( a in ranges )
				found = found | with_parents(ranged);

	return found;
	}

function groups_of(hid: string): set[string]
	{
	if ( hid in agents )
		return agents[hid]$groups;

	return set();
	}

function members(group: string): set[string]
	{
	local name = group_name(group);
	local found: set[string] = set();
	for ( hid, agent in agents )
		if ( name in agent$groups )
			add found[hid];

	return found;
	}

# Whether an agent gets a query by its own topic; else it may by that of a group.
function is_addressed(to: Targets, agent: Agent): bool
	{
	if ( agent$hid in to$hosts || |to$groups & agent$groups| > 0 )
		return T;

	for ( a in host_addrs(agent$hid) )
		{
		if ( a in to$addresses )
			return T;
		if ( |to$subnets| > 0 && a in to$subnets )
			return T;
		}

	return F;
	}

# Returns targets with names of groups as topics have them.
function normalised(to: Targets): Targets
	{
	local groups: set[string] = set();
	for ( group in to$groups )
		add groups[group_name(group)];

	return Targets($groups=groups, $hosts=to$hosts, $addresses=to$addresses,
	    $subnets=to$subnets);
	}

# Returns the targets that a scope and its target mean.
function targets_of(scope: Scope, target: string): Targets
	{
	switch ( scope )
		{
		case Host:
			return Targets($hosts=set(target));
		case Address:
			return Targets($addresses=set(to_addr(target)));
		case Subnet:
			return Targets($subnets=set(to_subnet(target)));
		}

	return Targets($groups=set(target));
	}

function regroup_all()
	{
	for ( hid in agents )
		regroup(hid);
	}

function join(range: subnet, group: string)
	{
	if ( ! is_designated() )
		return;

	local name = group_name(group);
	if ( name !in group_ranges )
		group_ranges[name] = set();
	add group_ranges[name][range];
	regroup_all();
	}

function leave(range: subnet, group: string)
	{
	if ( ! is_designated() )
		return;

	local name = group_name(group);
	if ( name in group_ranges )
		delete group_ranges[name][range];
	regroup_all();
	}

function add_to_group(hid: string, group: string)
	{
	if ( ! is_designated() )
		return;

	local name = group_name(group);
	if ( name !in group_hosts )
		group_hosts[name] = set();
	add group_hosts[name][hid];
	if ( hid in agents )
		regroup(hid);
	}

function remove_from_group(hid: string, group: string)
	{
	if ( ! is_designated() )
		return;

	local name = group_name(group);
	if ( name in group_hosts )
		delete group_hosts[name][hid];
	if ( hid in agents )
		regroup(hid);
	}
