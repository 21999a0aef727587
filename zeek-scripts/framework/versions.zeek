##! What differs between releases of Zeek, from 6.0 to 9.0: nothing else in this
##! package asks for the version.
##!
##! From 8.0 on agents join Zeek's own WebSocket server, before that Broker's.

@load base/frameworks/cluster
@load base/frameworks/logging
@load base/misc/version

@load ./api
@load ./nodes

module ZeekAgentAPI;

# Zeek's own server checks the number of fields. Agents know which Zeek takes which.
@if ( Version::number < 80200 )
redef record AgentHelloV1 += {
	broker: string &optional;
};
@endif
redef record AgentHelloV1 += {
	uptime: interval &optional;
	tables: set[string] &optional;
};

module ZeekAgent;

export {
	## Where this release listens unless told otherwise.
@if ( Version::number >= 80000 )
	const default_listen_address = 127.0.0.1;
	const default_listen_port = 27759/tcp;
@else
	const default_listen_address = 0.0.0.0;
	const default_listen_port = 9997/tcp;
@endif

	## Lets the lines of a log wait if ``delay_line`` is called for them, in
	## ``Log::log_stream_policy``.
	global allow_delays: function(id: Log::ID, longest: interval, most: count);

	## Has a line wait for the longest time that is allowed. Before Zeek 6.2 it does not.
	##
	## Returns: whether it waits.
	global delay_line: function(id: Log::ID, rec: any): bool;

	## Publishes an event with one argument to nodes of the cluster.
	global publish: function(topic: string, ev: any, arg: any);

	## Where agents connect, and how.
	type Listener: record {
		## The address; ``0.0.0.0`` and ``::`` are all.
		listen_address: addr &default=default_listen_address;
		## The port.
		listen_port: port &default=default_listen_port;
		## File of Zeek's certificate, in PEM format. Without one, connections are plain.
		cert_file: string &default="";
		## File of the certificate's key.
		key_file: string &default="";
		## File of the authority that signed the agents' certificates. With one, only
		## agents that have such a certificate can connect.
		ca_file: string &default="";
	};
}

# Opens a listener; returns whether that succeeded.
@if ( Version::number >= 80000 )
function open_listener(l: Listener): bool
	{
	local options = Cluster::WebSocketServerOptions($listen_addr=l$listen_address,
	    $listen_port=l$listen_port);
	if ( l$cert_file != "" )
		options$tls_options = Cluster::WebSocketTLSOptions($cert_file=l$cert_file,
		    $key_file=l$key_file,
		    $enable_peer_verification=l$ca_file != "",
		    $ca_file=l$ca_file);
	return Cluster::listen_websocket(options);
	}
@else
function open_listener(l: Listener): bool
	{
	if ( l$cert_file != "" )
		{
		Reporter::error("ZeekAgent: before Zeek 8.0 all listeners share one certificate; "
		    + "set Broker::ssl_certificate, ssl_keyfile and ssl_cafile instead");
		return F;
		}
	Broker::listen_websocket(cat(l$listen_address), l$listen_port, 10sec);
	return T;
	}
@endif

# A Zeek without cluster has no backend from 8.1 on. Broker's is the one that needs no
# further ports, and few descriptors for each agent.
@if ( Version::number >= 80100 )
@if ( Cluster::backend == Cluster::CLUSTER_BACKEND_NONE )
@load frameworks/cluster/backend/broker
@endif
@endif

# Messages to agents, and to nodes of the cluster. Functions with any number of
# parameters cannot be passed on, so each message has one.
@if ( Version::number >= 70100 )

function publish(topic: string, ev: any, arg: any)
	{
	Cluster::publish(topic, ev, arg);
	}

function subscribe_to(topic: string)
	{
	Cluster::subscribe(topic);
	}

function send_zeek_hello(topic: string, instance: string,
    info: ZeekAgentAPI::ZeekHelloV1)
	{
	Cluster::publish(topic, ZeekAgentAPI::zeek_hello_v1, instance, info);
	}

function send_zeek_shutdown(topic: string, instance: string)
	{
	Cluster::publish(topic, ZeekAgentAPI::zeek_shutdown_v1, instance);
	}

function send_install(topic: string, instance: string, id: string,
    q: ZeekAgentAPI::QueryV1)
	{
	Cluster::publish(topic, ZeekAgentAPI::install_query_v1, instance, id, q);
	}

function send_cancel(topic: string, instance: string, id: string)
	{
	Cluster::publish(topic, ZeekAgentAPI::cancel_query_v1, instance, id);
	}

function tell_agent(topic: string, agent: Agent)
	{
	Cluster::publish(topic, node_agent, agent);
	}

function tell_agent_gone(topic: string, hid: string)
	{
	Cluster::publish(topic, node_agent_gone, hid);
	}

function tell_agents(topic: string, all_agents: vector of Agent)
	{
	Cluster::publish(topic, node_agents, all_agents);
	}

function tell_query(topic: string, id: string, q: Query, to: Targets)
	{
	Cluster::publish(topic, node_query, Cluster::node, id, q, to);
	}

function tell_cancel(topic: string, id: string)
	{
	Cluster::publish(topic, node_cancel, Cluster::node, id);
	}

function tell_execute(topic: string, id: string, sql: string, hid: string,
    wait: interval)
	{
	Cluster::publish(topic, node_execute, Cluster::node, id, sql, hid, wait);
	}

function tell_answer(topic: string, id: string, error: string)
	{
	Cluster::publish(topic, node_answer, id, error);
	}

function tell_note(topic: string, kind: string, words: vector of string)
	{
	Cluster::publish(topic, note, kind, words);
	}

@else

function publish(topic: string, ev: any, arg: any)
	{
	Broker::publish(topic, ev, arg);
	}

function subscribe_to(topic: string)
	{
	Broker::subscribe(topic);
	}

function send_zeek_hello(topic: string, instance: string,
    info: ZeekAgentAPI::ZeekHelloV1)
	{
	Broker::publish(topic, ZeekAgentAPI::zeek_hello_v1, instance, info);
	}

function send_zeek_shutdown(topic: string, instance: string)
	{
	Broker::publish(topic, ZeekAgentAPI::zeek_shutdown_v1, instance);
	}

function send_install(topic: string, instance: string, id: string,
    q: ZeekAgentAPI::QueryV1)
	{
	Broker::publish(topic, ZeekAgentAPI::install_query_v1, instance, id, q);
	}

function send_cancel(topic: string, instance: string, id: string)
	{
	Broker::publish(topic, ZeekAgentAPI::cancel_query_v1, instance, id);
	}

function tell_agent(topic: string, agent: Agent)
	{
	Broker::publish(topic, node_agent, agent);
	}

function tell_agent_gone(topic: string, hid: string)
	{
	Broker::publish(topic, node_agent_gone, hid);
	}

function tell_agents(topic: string, all_agents: vector of Agent)
	{
	Broker::publish(topic, node_agents, all_agents);
	}

function tell_query(topic: string, id: string, q: Query, to: Targets)
	{
	Broker::publish(topic, node_query, Cluster::node, id, q, to);
	}

function tell_cancel(topic: string, id: string)
	{
	Broker::publish(topic, node_cancel, Cluster::node, id);
	}

function tell_execute(topic: string, id: string, sql: string, hid: string,
    wait: interval)
	{
	Broker::publish(topic, node_execute, Cluster::node, id, sql, hid, wait);
	}

function tell_answer(topic: string, id: string, error: string)
	{
	Broker::publish(topic, node_answer, id, error);
	}

function tell_note(topic: string, kind: string, words: vector of string)
	{
	Broker::publish(topic, note, kind, words);
	}

@endif

# A row that is passed on as it came: from 8.0 on Zeek takes it apart again.
@if ( Version::number >= 80000 )
function tell_answer_row(topic: string, id: string, row: any)
	{
	Cluster::publish(topic, node_answer_row, id, row);
	}
@else
function tell_answer_row(topic: string, id: string, row: any)
	{
	Broker::publish(topic, node_answer_row, id, row);
	}
@endif

@if ( Version::number >= 60200 )
function allow_delays(id: Log::ID, longest: interval, most: count)
	{
	Log::set_max_delay_interval(id, longest);
	Log::set_max_delay_queue_size(id, most);
	}

function delay_line(id: Log::ID, rec: any): bool
	{
	Log::delay(id, rec);
	return T;
	}
@else
function allow_delays(id: Log::ID, longest: interval, most: count)
	{ }

function delay_line(id: Log::ID, rec: any): bool
	{
	return F;
	}
@endif
