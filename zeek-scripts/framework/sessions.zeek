##! The processes of one agent. Each start of an agent is one; two that are alive at the
##! same time mean that two hosts have one ID, as copied virtual machines do.

@load ./agents

module ZeekAgent;

type Session: record {
	hello_id: string; # of the connection: a new one means that queries are wanted again
	last_seen: time;
};

# By ID of the agent, and ID of its process.
global sessions: table[string] of table[string] of Session;

# The process that came last.
global newest_instance: table[string] of string;

# Agents whose ID was warned about.
global told_about: set[string];

# Notes a hello; returns the word for the log.
function note_session(hid: string, instance: string, hello_id: string): string
	{
	if ( hid !in sessions )
		sessions[hid] = table();

	local known = sessions[hid];
	local is_same = instance in known && known[instance]$hello_id == hello_id;
	known[instance] = Session($hello_id=hello_id, $last_seen=network_time());

	if ( ! is_same )
		newest_instance[hid] = instance;
	else if ( newest_instance[hid] != instance && hid !in told_about )
		{
		add told_about[hid];
		Reporter::warning(fmt("two agents have the ID %s, one of them on %s: remove the file "
		    + "with the ID from the clone's state directory", hid, name_of(hid)));
		}

	return is_same ? "update" : "reconnect";
	}

function forget_sessions(hid: string)
	{
	delete sessions[hid];
	delete newest_instance[hid];
	delete told_about[hid];
	}

# Forgets processes of an agent that have ended.
function drop_silent_sessions(hid: string)
	{
	if ( hid !in sessions )
		return;

	local old: set[string] = set();
	for ( instance, session in sessions[hid] )
		if ( session$last_seen + agent_timeout < network_time() )
			add old[instance];

	for ( ended in old )
		delete sessions[hid][ended];
	}
