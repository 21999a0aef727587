##! The messages between Zeek and the agents.
##!
##! docs/protocol.md tells when they are sent.

@load ./types

module ZeekAgentAPI;

export {
	## Facts about an agent and its host: a row of the agent's table ``zeek_agent``.
	## ``versions.zeek`` adds the last fields.
	type AgentHelloV1: record {
		agent_id: string;
		instance_id: string;
		hostname: string &optional;
		addresses: set[addr] &optional;
		platform: string &optional;
		os_name: string &optional;
		kernel_name: string &optional;
		kernel_version: string &optional;
		kernel_arch: string &optional;
		agent_version: count &optional;
	};

	## Facts about a Zeek.
	type ZeekHelloV1: record {
		version_string: string;
		version_number: count;
		package_version: string;
	};

	## An agent is here, said regularly.
	global agent_hello_v1: event(ctx: ZeekAgent::Context, columns: AgentHelloV1);

	## An agent goes.
	global agent_shutdown_v1: event(ctx: ZeekAgent::Context);

	## An agent could not do what it was asked to.
	global agent_error_v1: event(ctx: ZeekAgent::Context, msg: string);

	## A query, with the fields that agents know; ``ZeekAgent::Query`` may get more.
	type QueryV1: record {
		sql_stmt: string;
		schedule_: interval &optional;
		subscription: ZeekAgent::SubscriptionType;
		event_: any;
		cookie: string &optional;
		requires_tables: set[string];
		if_missing_tables: set[string];
	};

	## A Zeek is here, said regularly.
	global zeek_hello_v1: event(zeek_instance: string, info: ZeekHelloV1);

	## A Zeek goes.
	global zeek_shutdown_v1: event(zeek_instance: string);

	## A Zeek has a query for agents.
	global install_query_v1: event(zeek_instance: string, query_id: string,
	    query: QueryV1);

	## A Zeek does not want a query any more.
	global cancel_query_v1: event(zeek_instance: string, query_id: string);
}
