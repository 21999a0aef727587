##! What differs between releases of Zeek, from 6.0 to 9.0: nothing else in this
##! package asks for the version.
##!
##! From 8.0 on agents join Zeek's own WebSocket server, before that Broker's.

@load ./types
@load ./api

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

@if ( Version::number >= 70100 )

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

function send_install(topic: string, instance: string, query_id: string,
    q: Query)
	{
	Cluster::publish(topic, ZeekAgentAPI::install_query_v1, instance, query_id, q);
	}

function send_cancel(topic: string, instance: string, query_id: string)
	{
	Cluster::publish(topic, ZeekAgentAPI::cancel_query_v1, instance, query_id);
	}

@else

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

function send_install(topic: string, instance: string, query_id: string,
    q: Query)
	{
	Broker::publish(topic, ZeekAgentAPI::install_query_v1, instance, query_id, q);
	}

function send_cancel(topic: string, instance: string, query_id: string)
	{
	Broker::publish(topic, ZeekAgentAPI::cancel_query_v1, instance, query_id);
	}

@endif
