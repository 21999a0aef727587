##! One node of a cluster hears the agents; this tells what it hears to the workers.
##!
##! Facts are sent in batches. A worker that comes up, or comes back, is told all that
##! is known, host by host.

@load ./facts

module ZeekAgent::Attribution;

export {
	## Takes a fact on the designated node: it is applied there, and told to all workers.
	global tell: function(f: Fact);

	## A fact was told. Runs on the designated node.
	global told: hook(f: Fact);

	## Facts for a worker.
	global take_facts: event(batch: vector of Fact);

	## Ends what a worker is told when it comes up: these hosts there are, and no others.
	global replayed: event(hids: set[string]);

	## How long facts may wait for others.
	option batch_delay = 100msecs;

	## Most facts in a batch.
	option batch_size = 500;

	## How many hosts' facts are copied for a worker in one go.
	option replay_delay = 20msecs;
}

# Facts that wait to be sent.
global waiting_facts: vector of Fact;

# Sends what waits.
global flush_facts: event();

# Sends a worker the facts about some hosts, then about the others.
global replay_hosts: event(topic: string, hids: vector of string, first: count);

function flush()
	{
	if ( |waiting_facts| == 0 )
		return;

	ZeekAgent::publish(Cluster::worker_topic, take_facts, waiting_facts);
	waiting_facts = vector();
	}

function tell(f: Fact)
	{
	apply(f);
	hook told(f);

	if ( ! Cluster::is_enabled() )
		return;

	waiting_facts += f;

	if ( |waiting_facts| == 1 )
		schedule batch_delay { flush_facts() };
	else if ( |waiting_facts| >= batch_size )
		flush();
	}

event flush_facts()
	{
	flush();
	}

event take_facts(batch: vector of Fact)
	{
	for ( i in batch )
		apply(batch[i]);
	}

event replayed(hids: set[string])
	{
	local unknown: set[string];

	for ( hid, _ in hosts )
		if ( hid !in hids )
			add unknown[hid];

	for ( hid in unknown )
		drop_host(hid);
	}

function replay_host(topic: string, h: Host): count
	{
	local all_facts = facts_of(h);
	local batch: vector of Fact;

	for ( i in all_facts )
		{
		batch += all_facts[i];

		if ( |batch| >= batch_size )
			{
			ZeekAgent::publish(topic, take_facts, batch);
			batch = vector();
			}
		}

	if ( |batch| > 0 )
		ZeekAgent::publish(topic, take_facts, batch);

	return |all_facts|;
	}

event replay_hosts(topic: string, hids: vector of string, first: count)
	{
	# What waits is part of the state already, and must not come after newer facts.
	flush();

	local i = first;
	local sent = 0;

	while ( i < |hids| && sent < 2 * batch_size )
		{
		if ( hids[i] in hosts )
			sent += replay_host(topic, hosts[hids[i]]);

		++i;
		}

	if ( i < |hids| )
		{
		schedule replay_delay { replay_hosts(topic, hids, i) };
		return;
		}

	local present: set[string];

	for ( hid, _ in hosts )
		add present[hid];

	ZeekAgent::publish(topic, replayed, present);
	}

event Cluster::node_up(name: string, id: string)
	{
	if ( ! enabled || ! ZeekAgent::is_designated() )
		return;

	if ( Cluster::nodes[name]$node_type != Cluster::WORKER )
		return;

	local hids: vector of string;

	for ( hid, _ in hosts )
		hids += hid;

	event replay_hosts(Cluster::node_topic(name), hids, 0);
	}
