##! Agents come and go: listening, hellos, goodbyes.

@load base/utils/numbers

@load ./execute
@load ./forwarding
@load ./replicas
@load ./sessions

module ZeekAgent;

export {
	## The version of this package, which agents are told.
	const package_version = "3.0.0" &redef;

	## Whether to listen at all; not where something else opens the WebSocket server,
	## such as zeekctl with ``UseWebSocket``.
	const listen = T &redef;

	## Where agents connect. From Zeek 8.0 on the environment may say so, too:
	## ``ZEEK_WEBSOCKET_LISTEN_ADDRESS``, ``ZEEK_WEBSOCKET_LISTEN_PORT``.
	const listen_address = default_listen_address &redef;

	## The port for agents.
	const listen_port = default_listen_port &redef;

	## File of Zeek's certificate; see ``Listener``.
	const cert_file = "" &redef;

	## File of the key of the certificate.
	const key_file = "" &redef;

	## File of the authority of the agents' certificates.
	const ca_file = "" &redef;

	## Several listeners instead of that one. One takes at most 100 agents.
	const listeners: vector of Listener = vector() &redef;

	## How often Zeek tells all agents that it is here.
	option hello_interval = 60secs;
}

function zeek_hello(): ZeekAgentAPI::ZeekHelloV1
	{
	return ZeekAgentAPI::ZeekHelloV1($version_string=zeek_version(),
	    $version_number=Version::number, $package_version=package_version);
	}

# Returns the listener that the environment and the single settings describe.
function single_listener(): Listener
	{
	local l = Listener($listen_address=listen_address, $listen_port=listen_port,
	    $cert_file=cert_file, $key_file=key_file, $ca_file=ca_file);
	local address = getenv("ZEEK_WEBSOCKET_LISTEN_ADDRESS");
	local p = getenv("ZEEK_WEBSOCKET_LISTEN_PORT");

	if ( address != "" )
		l$listen_address = to_addr(gsub(address, /[\[\]]/, ""));
	if ( p != "" )
		l$listen_port = count_to_port(extract_count(p), tcp);

	return l;
	}

function open_listeners()
	{
	for ( _, l in |listeners| > 0 ? listeners : vector(single_listener()) )
		if ( ! open_listener(l) )
			Reporter::error(fmt("ZeekAgent: cannot listen on %s, port %s; if another script "
			    + "does, redef ZeekAgent::listen = F", l$listen_address, l$listen_port));
	}

function forget(hid: string, reason: string)
	{
	log_agent(agents[hid], reason);
	remove_agent(hid);
	tell_nodes_gone(hid);
	delete sent_to[hid];
	forget_sessions(hid);
	event agent_left(hid, reason);
	}

event ZeekAgentAPI::agent_hello_v1(ctx: ZeekAgent::Context,
    columns: ZeekAgentAPI::AgentHelloV1)
	{
	if ( ! is_designated() )
		return;

	local hid = ctx$agent_id;
	local hello_id = ctx?$query_id ? ctx$query_id : "";
	local is_new = hid !in agents;
	local word = note_session(hid, columns$instance_id, hello_id);

	local agent = is_new ? Agent($hid=hid, $hello=columns, $joined=network_time(),
	    $last_seen=network_time()) : copy(agents[hid]);
	agent$hello = columns;
	agent$last_seen = network_time();
	++agent$statistics$hellos;
	if ( ! is_new && word == "reconnect" )
		++agent$statistics$reconnects;

	place_agent(agent);
	log_agent(agent, is_new ? "join" : word);

	if ( word == "reconnect" )
		{
		send_zeek_hello(host_topic(hid), zeek_instance, zeek_hello());
		send_queries(hid);
		}
	regroup(hid);
	tell_nodes(agents[hid]);
	if ( is_new )
		event agent_joined(hid, columns);
	}

event ZeekAgentAPI::agent_shutdown_v1(ctx: ZeekAgent::Context)
	{
	if ( is_designated() && ctx$agent_id in agents )
		forget(ctx$agent_id, "shutdown");
	}

event ZeekAgentAPI::agent_error_v1(ctx: ZeekAgent::Context, msg: string)
	{
	if ( ! is_designated() )
		return;

	if ( ctx$agent_id in agents )
		++agents[ctx$agent_id]$statistics$errors;

	local id = ctx?$query_id ? ctx$query_id : "";
	log_error(ctx, id in queries ? queries[id]$query$sql_stmt : "", msg);
	if ( id in awaited )
		finish(id, msg);
	else
		Reporter::error(fmt("error from Zeek Agent: %s [%s]", msg, ctx$agent_id));

	event agent_error(ctx, msg);
	}

event send_hello()
	{
	send_zeek_hello(group_topic("all"), zeek_instance, zeek_hello());
	schedule hello_interval { send_hello() };
	}

event look_for_silent()
	{
	local silent: set[string] = set();
	for ( hid, agent in agents )
		if ( agent$last_seen + agent_timeout < network_time() )
			add silent[hid];

	for ( old in silent )
		forget(old, "offline");

	for ( _, known in agents )
		drop_silent_sessions(known$hid);

	schedule agent_timeout / 10 { look_for_silent() };
	}

event zeek_init() &priority=100
	{
	zeek_instance = unique_id("zeek_");
	}

event zeek_init() &priority=-10
	{
	if ( ! is_designated() )
		return;

	subscribe_to("/zeek-agent/response/all");
	subscribe_to(fmt("/zeek-agent/response/%s/", zeek_instance));
	schedule agent_timeout / 10 { look_for_silent() };
	event send_hello();
	}

# The server starts when everything else is ready.
event zeek_init() &priority=-100
	{
	if ( is_designated() && listen && ! reading_traces() )
		open_listeners();
	}

event zeek_done()
	{
	if ( ! is_designated() )
		return;

	local all_queries: set[string] = set();
	for ( id in queries )
		add all_queries[id];
	for ( id in all_queries )
		stop_query(id);

	send_zeek_shutdown(group_topic("all"), zeek_instance);
	}
