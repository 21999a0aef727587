##! Adds to ``conn.log`` who was behind a connection.
##!
##! Zeek removes a connection some seconds after its end, and looks up both sides then.
##! A side that belongs to a host with an agent, and for which nothing is found, is looked
##! up again ``attribution_delay`` later, ``attribution_tries`` times. ``conn.log`` is
##! written then; what is found goes to ``zeek-agent-attribution.log`` with ``late`` set.

@load ./columns
@load ./log

module ZeekAgent::Attribution;

export {
	## Runs when a connection was looked up, before ``conn.log`` is written. It may change
	## both sides; with ``break`` the connection stays unattributed.
	global attributing: hook(c: connection, orig: Side, resp: Side);

	## A connection with a side that belongs to a host with an agent was looked up.
	global attributed: event(c: connection, orig: Side, resp: Side);

	## A side of a connection was attributed after ``conn.log`` was written.
	global attributed_late: event(c: connection, side: Side);

	## Returns what was counted, and how much is held now.
	global stats: function(): Stats;
}

redef record Conn::Info += {
	## Whether an agent's word is awaited.
	awaits_agents: bool &default=F;
	## Whether the line waits, too; see ``hold-conn-log``.
	is_held: bool &default=F;
};

# Connections that wait for their second look.
global waiting = 0;

# Looks up a connection again, at those sides for which there was no success.
global look_again: event(c: connection, orig: bool, resp: bool, tries: count);

function count_side(side: Side)
	{
	if ( |side$hosts| > 0 )
		++stats_now$sides;

	if ( |side$found| > 0 )
		++stats_now$attributed;
	}

# Forgets a socket that has served its purpose: that of a connection that is over, or a
# call to connect. Not if several match, as then it is not known which.
function settle(side: Side)
	{
	if ( |side$found| != 1 || side$found[0]$confidence > 3 )
		return;

	local e = side$found[0]$entry;

	if ( e?$closed_at || e$is_partial )
		e$is_used = T;
	}

# Whether to look a side up again: it is a host with an agent, but there was no success.
function is_missing(side: Side): bool
	{
	return |side$hosts| > 0 && |side$found| == 0;
	}

# Has a connection looked up again, unless both sides are known or there were enough tries.
function wait_for_word(c: connection, orig: bool, resp: bool, tries: count)
	{
	if ( ( ! orig && ! resp ) || tries == 0 )
		return;

	if ( waiting >= max_waiting )
		{
		warn_bound("max_waiting", "any");
		++stats_now$dropped_waiting;
		return;
		}

	++waiting;

	if ( c?$conn )
		c$conn$awaits_agents = T;

	schedule attribution_delay { look_again(c, orig, resp, tries - 1) };
	}

event connection_state_remove(c: connection) &priority=-3
	{
	if ( c$id$orig_h !in by_addr && c$id$resp_h !in by_addr )
		return;

	if ( get_port_transport_proto(c$id$orig_p) == icmp )
		return;

	local r = lookup(c);

	if ( ! hook attributing(c, r$orig, r$resp) )
		return;

	count_side(r$orig);
	count_side(r$resp);

	if ( c?$conn )
		fill(c$conn, r$orig, r$resp);

	if ( log_all )
		{
		write(c, r$orig, F);
		write(c, r$resp, F);
		}

	event attributed(c, r$orig, r$resp);
	settle(r$orig);
	settle(r$resp);

	wait_for_word(c, is_missing(r$orig), is_missing(r$resp), attribution_tries);
	}

# A side was looked up again.
function found_late(c: connection, side: Side)
	{
	if ( |side$found| == 0 )
		return;

	++stats_now$attributed_late;
	write(c, side, ! c?$conn || ! c$conn$is_held);
	event attributed_late(c, side);
	settle(side);
	}

event look_again(c: connection, orig: bool, resp: bool, tries: count)
	{
	--waiting;
	local r = lookup(c);

	if ( ! orig )
		r$orig = Side($is_orig=T);

	if ( ! resp )
		r$resp = Side($is_orig=F);

	if ( ! hook attributing(c, r$orig, r$resp) )
		return;

	if ( c?$conn )
		fill(c$conn, r$orig, r$resp);

	found_late(c, r$orig);
	found_late(c, r$resp);
	wait_for_word(c, orig
	    && is_missing(r$orig), resp
	    && is_missing(r$resp), tries);
	}

function stats(): Stats
	{
	local s = copy(stats_now);
	s$hosts = |hosts|;

	for ( _, h in hosts )
		{
		s$sockets += |h$sockets|;
		s$processes += |h$processes|;
		}

	return s;
	}
