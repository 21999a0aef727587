##! Queries: sent when a script asks, sent again when an agent comes, until cancelled.
##!
##! A query goes to the topic of each of its groups, and to the topic of each agent
##! that it addresses otherwise. Agents take a query that comes twice for one.

@load ./groups
@load ./errors

module ZeekAgent;

export {
	## Sends a query to agents that are here, and to those that come later.
	##
	## q: the query.
	##
	## scope: what ``target`` is.
	##
	## target: name of a group, ID of an agent, an address or a subnet.
	##
	## Returns: the ID of the query. An agent that cannot run it says so by
	##          ``agent_error``.
	##
	## On a node of a cluster that is not the designated one, queries of ``zeek_init``
	## do nothing, as the designated node runs the same script. Later ones are passed
	## on to it, once for all nodes that ask the same. Results are raised there.
	global query: function(q: Query, scope: Scope &default=Group, target: string
	    &default="all"): string;

	## Sends a query to several groups, agents, addresses and subnets, as ``query`` does.
	global query_targets: function(q: Query, to: Targets): string;

	## Ends a query everywhere. Nothing happens if there is none of this ID.
	global cancel: function(query_id: string);
}

# What every Zeek process has of its own, and agents know it by.
global zeek_instance: string;

# A query that is wanted.
type QueryState: record {
	id: string;
	query: Query;
	to: Targets;
};

# All queries that are wanted, by ID.
global queries: table[string] of QueryState;

# On other nodes than the designated one: passes on what is asked.
global forward_query: function(id: string, q: Query, to: Targets);
global forward_cancel: function(id: string);

# For each agent the queries that went to its own topic.
global sent_to: table[string] of set[string];

function host_topic(hid: string): string
	{
	return fmt("/zeek-agent/query/host/%s", hid);
	}

function group_topic(group: string): string
	{
	return fmt("/zeek-agent/query/group/%s", group);
	}

# Reaches one agent, if its configuration has the group.
function member_topic(hid: string, group: string): string
	{
	return fmt("/zeek-agent/query/group/%s/%s", hid, group);
	}

# Sends a query to a topic.
function install(topic: string, id: string, q: Query)
	{
	local on_the_wire = ZeekAgentAPI::QueryV1($sql_stmt=q$sql_stmt,
	    $subscription=q$subscription, $event_=q$event_,
	    $requires_tables=q$requires_tables,
	    $if_missing_tables=q$if_missing_tables);
	if ( q?$schedule_ )
		on_the_wire$schedule_ = q$schedule_;
	if ( q?$cookie )
		on_the_wire$cookie = q$cookie;

	send_install(topic, zeek_instance, id, on_the_wire);
	}

# Sends an agent what it is to run and does not, and ends what it is not to run.
function sync_agent(hid: string)
	{
	local agent = agents[hid];
	if ( hid !in sent_to )
		sent_to[hid] = set();

	for ( id, state in queries )
		{
		local is_wanted = is_addressed(state$to, agent);

		if ( is_wanted && id !in sent_to[hid] )
			{
			install(host_topic(hid), id, state$query);
			add sent_to[hid][id];
			++agent$statistics$queries;
			}
		else if ( ! is_wanted && id in sent_to[hid] )
			{
			send_cancel(host_topic(hid), zeek_instance, id);
			delete sent_to[hid][id];
			# It may be in the group by its configuration as well.
			for ( group in state$to$groups )
				install(member_topic(hid, group), id, state$query);
			}
		}
	}

# Sends an agent everything; it has connected.
function send_queries(hid: string)
	{
	delete sent_to[hid];

	for ( id, state in queries )
		for ( group in state$to$groups )
			install(member_topic(hid, group), id, state$query);

	sync_agent(hid);
	}

function start_query(id: string, q: Query, to: Targets)
	{
	local state = QueryState($id=id, $query=q, $to=normalised(to));
	queries[id] = state;

	for ( group in state$to$groups )
		install(group_topic(group), id, q);

	for ( hid, agent in agents )
		if ( is_addressed(state$to, agent) )
			sync_agent(hid);
	}

function stop_query(id: string)
	{
	if ( id !in queries )
		return;

	for ( group in queries[id]$to$groups )
		send_cancel(group_topic(group), zeek_instance, id);

	for ( hid, ids in sent_to )
		if ( id in ids )
			{
			send_cancel(host_topic(hid), zeek_instance, id);
			delete ids[id];
			}

	delete queries[id];
	}

function query_targets(q: Query, to: Targets): string
	{
	local id = unique_id("za_");
	if ( q$sql_stmt == "" || ! q?$event_ )
		Reporter::error("ZeekAgent: a query needs sql_stmt and event_; it is not sent");
	else if ( is_designated() )
		start_query(id, q, to);
	else
		forward_query(id, q, to);

	return id;
	}

function query(q: Query, scope: Scope, target: string): string
	{
	return query_targets(q, targets_of(scope, target));
	}

function cancel(query_id: string)
	{
	if ( is_designated() )
		stop_query(query_id);
	else
		forward_cancel(query_id);
	}

function regroup(hid: string)
	{
	local agent = agents[hid];
	local before = agent$groups;
	agent$groups = wanted_groups(hid);

	for ( joined in agent$groups - before )
		event agent_joined_group(hid, joined);
	for ( left in before - agent$groups )
		event agent_left_group(hid, left);

	sync_agent(hid);
	}
