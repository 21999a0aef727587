##! One process of a cluster talks with the agents; the others know what it knows.
##!
##! The *designated node* listens, sends queries and gets the results. It tells the
##! other nodes which agents there are, and tells it again to nodes that come later.
##! The others pass on what their scripts ask for.

@load ./types
@load ./api
@load ./versions

module ZeekAgent;

export {
	## Name of the designated node; if empty, the manager.
	const node = "" &redef;

	## Whether this process is the one that talks with agents; without cluster it is.
	global is_designated: function(): bool;
}

# Name of the designated node; empty without cluster.
global designated_node: function(): string;

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
