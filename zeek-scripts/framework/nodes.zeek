##! What the nodes of a cluster tell each other; see ``cluster.zeek``.

@load ./api

module ZeekAgent;

export {
	## What was counted about one agent since it joined.
	type Statistics: record {
		## Signs of life.
		hellos: count &default=0;
		## How often it connected anew.
		reconnects: count &default=0;
		## Queries sent to it alone.
		queries: count &default=0;
		## Errors that it told.
		errors: count &default=0;
		## One-shot queries that it answered.
		answers: count &default=0;
		## Rows that went to the logs of this package.
		rows: count &default=0;
	};

	## An agent that is here.
	type Agent: record {
		## ID of the agent.
		hid: string;
		## What it said about itself.
		hello: ZeekAgentAPI::AgentHelloV1;
		## When it joined.
		joined: time;
		## When it last said that it is here.
		last_seen: time;
		## Groups it is in at run time, with all above them.
		groups: set[string] &default=set();
		## What was counted about it.
		statistics: Statistics &default=Statistics();
	};

	## From the designated node: an agent is here, or something about it is new.
	global node_agent: event(agent: Agent);

	## From the designated node: an agent is gone.
	global node_agent_gone: event(hid: string);

	## From the designated node to one that came: these are all agents.
	global node_agents: event(all_agents: vector of Agent);

	## To the designated node: a script on ``from`` has a query.
	global node_query: event(from: string, id: string, q: Query, to: Targets);

	## To the designated node: a script on ``from`` cancels a query.
	global node_cancel: event(from: string, id: string);

	## To the designated node: a script on ``from`` wants an answer.
	global node_execute: event(from: string, id: string, sql: string, hid: string,
	    wait: interval);

	## From the designated node: a row of an answer.
	global node_answer_row: event(id: string, row: any);

	## From the designated node: the answer is complete, or there is none.
	global node_answer: event(id: string, error: string);

	## To the designated node: something that a script there waits for; see
	## ``notes.zeek``.
	global note: event(kind: string, words: vector of string);
}
