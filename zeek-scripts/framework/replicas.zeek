##! The table of agents on the nodes of a cluster that do not talk with agents.

@load ./agents

module ZeekAgent;

function tell_nodes(agent: Agent)
	{
	for ( topic in other_nodes() )
		tell_agent(topic, agent);
	}

function tell_nodes_gone(hid: string)
	{
	for ( topic in other_nodes() )
		tell_agent_gone(topic, hid);
	}

event ZeekAgent::node_agent(agent: Agent)
	{
	if ( ! is_designated() )
		place_agent(agent);
	}

event ZeekAgent::node_agent_gone(hid: string)
	{
	if ( ! is_designated() && hid in agents )
		remove_agent(hid);
	}

event ZeekAgent::node_agents(all_agents: vector of Agent)
	{
	if ( is_designated() )
		return;

	local gone: set[string] = set();
	for ( hid in agents )
		add gone[hid];
	for ( _, agent in all_agents )
		{
		place_agent(agent);
		delete gone[agent$hid];
		}
	for ( old in gone )
		remove_agent(old);
	}

event Cluster::node_up(name: string, id: string)
	{
	if ( ! Cluster::is_enabled() || ! is_designated() )
		return;

	local all_agents: vector of Agent = vector();
	for ( _, agent in agents )
		all_agents += agent;
	tell_agents(Cluster::node_topic(name), all_agents);
	}
