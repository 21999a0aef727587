##! What scripts ask on nodes that do not talk with agents goes to the one that does.

@load ./execute

module ZeekAgent;

# On the designated node: for each query of other nodes who asked for it.
type Forwarded: record {
	query_id: string;
	# The ID that the node knows it by, and the node.
	askers: table[string] of string;
};

# By what is asked.
global forwarded: table[string] of Forwarded;

# Whether the designated node is here.
global is_connected = F;

# Returns the name of the event of a query that came over the wire.
function event_name(q: Query): string
	{
	return Broker::vector_lookup(q$event_ as Broker::Data, 0) as string;
	}

# Returns the names in order.
function in_order(names: set[string]): string
	{
	local all_names: vector of string = vector();
	for ( name in names )
		all_names += name;
	sort(all_names, strcmp);

	return join_string_vec(all_names, " ");
	}

# Returns what makes two queries the same.
function fingerprint(q: Query, to: Targets): string
	{
	local places: set[string] = set();
	for ( a in to$addresses )
		add places[cat(a)];
	for ( s in to$subnets )
		add places[cat(s)];

	return fmt("%s|%s|%s|%s|%s|%s|%s|%s|%s|%s", q$sql_stmt, q?$schedule_ ?
	    q$schedule_ : 0secs, q$subscription, event_name(q), q?$cookie ?
	    q$cookie : "", in_order(q$requires_tables), in_order(
	    q$if_missing_tables), in_order(to$groups), in_order(to$hosts),
	    in_order(places));
	}

function forward_query(id: string, q: Query, to: Targets)
	{
	if ( is_connected )
		tell_query(Cluster::node_topic(designated_node()), id, q, to);
	}

function forward_cancel(id: string)
	{
	if ( is_connected )
		tell_cancel(Cluster::node_topic(designated_node()), id);
	}

function forward_execute(id: string, sql: string, hid: string, wait: interval)
	{
	if ( is_connected )
		tell_execute(Cluster::node_topic(designated_node()), id, sql, hid, wait);
	else
		finish(id, "the node that talks with agents is not here");
	}

function answer_node(id: string, answer: Answer)
	{
	local topic = Cluster::node_topic(answer_to[id]);
	for ( _, row in answer$rows )
		tell_answer_row(topic, id, row);
	tell_answer(topic, id, answer$error);
	delete answer_to[id];
	}

event Cluster::node_up(name: string, id: string)
	{
	if ( name == designated_node() )
		is_connected = T;
	}

event ZeekAgent::node_query(from: string, id: string, q: Query, to: Targets)
	{
	if ( ! is_designated() )
		return;

	local key = fingerprint(q, to);
	# Over the wire a function is a vector with its name.
	q$event_ = vector(event_name(q));

	if ( key !in forwarded )
		{
		forwarded[key] = Forwarded($query_id=id, $askers=table());
		start_query(id, q, to);
		}

	forwarded[key]$askers[id] = from;
	}

# Forgets who asked for a query by an ID, or all on a node; without any it ends.
function drop_askers(id: string, from: string)
	{
	local ended: set[string] = set();

	for ( key, f in forwarded )
		{
		local gone: set[string] = set();
		for ( asked, asker in f$askers )
			if ( asked == id || asker == from )
				add gone[asked];
		for ( old in gone )
			delete f$askers[old];
		if ( |f$askers| == 0 )
			add ended[key];
		}

	for ( over in ended )
		{
		stop_query(forwarded[over]$query_id);
		delete forwarded[over];
		}
	}

event ZeekAgent::node_cancel(from: string, id: string)
	{
	if ( is_designated() )
		drop_askers(id, "");
	}

event Cluster::node_down(name: string, id: string)
	{
	if ( name == designated_node() )
		is_connected = F;
	if ( is_designated() )
		drop_askers("", name);
	}

event ZeekAgent::answer_is_late(id: string)
	{
	delete answer_to[id];
	give_up(id);
	}

event ZeekAgent::node_execute(from: string, id: string, sql: string,
    hid: string, wait: interval)
	{
	if ( ! is_designated() )
		return;

	answer_to[id] = from;
	ask(id, sql, hid);
	schedule wait { ZeekAgent::answer_is_late(id) };
	}

event ZeekAgent::node_answer_row(id: string, row: any)
	{
	if ( id in awaited )
		awaited[id]$rows += row;
	}

event ZeekAgent::node_answer(id: string, error: string)
	{
	if ( id in awaited )
		finish(id, error);
	}
