##! One process of a cluster talks with the agents: the *designated node*.
##!
##! It listens, sends queries and gets the results. It tells the other nodes which
##! agents there are, and tells nodes that come later everything (``replicas.zeek``).
##! The others pass on what their scripts ask for (``forwarding.zeek``).

module ZeekAgent;

export {
	## Name of the designated node; if empty, the manager. It has to be one that all
	## others are connected with.
	const node = "" &redef;

	## Whether this process is the one that talks with agents; without cluster it is.
	global is_designated: function(): bool;

	## Returns the name of the designated node; empty without cluster.
	global designated_node: function(): string;
}

function designated_node(): string
	{
	if ( node != "" || ! Cluster::is_enabled() )
		return node;

	for ( name, n in Cluster::nodes )
		if ( n$node_type == Cluster::MANAGER )
			return name;

	return Cluster::node;
	}

function is_designated(): bool
	{
	return ! Cluster::is_enabled() || Cluster::node == designated_node();
	}

# Returns the topics that reach all nodes but loggers and this one.
function other_nodes(): set[string]
	{
	if ( ! Cluster::is_enabled() )
		return set();

	return set(Cluster::manager_topic, Cluster::proxy_topic,
	    Cluster::worker_topic);
	}
