##! What scripts on any node of a cluster want known where the results of agents arrive.

@load ./main

module ZeekAgent;

export {
	## Raises ``note`` on the designated node.
	global tell: function(kind: string, words: vector of string);
}

function tell(kind: string, words: vector of string)
	{
	if ( is_designated() )
		event ZeekAgent::note(kind, words);
	else
		tell_note(Cluster::node_topic(designated_node()), kind, words);
	}
