##! What the sources have in common: the clocks of hosts, and where snapshots begin.

@load ../replicate

module ZeekAgent::Attribution;

# How far Zeek's clock is ahead of a host's: the least that its hellos showed, as they
# take time on their way.
global skews: table[string] of interval;

# When the last snapshot began, by host and query.
global snapshots: table[string] of table[string] of time;

function note_clock(hid: string, host_time: time)
	{
	local delta = network_time() - host_time;

	if ( hid !in skews || delta < skews[hid] )
		skews[hid] = delta;
	else
		skews[hid] += ( delta - skews[hid] ) * 0.1;
	}

function forget_clock(hid: string)
	{
	delete skews[hid];
	delete snapshots[hid];
	}

# Returns a moment of a host by Zeek's clock.
function by_our_clock(hid: string, t: time): time
	{
	return hid in skews ? t + skews[hid] : t;
	}

# Whether a row is the first one of a snapshot.
function is_first_of_snapshot(ctx: ZeekAgent::Context): bool
	{
	if ( ctx?$change || ! ctx?$query_id )
		return F;

	if ( ctx$agent_id !in snapshots )
		snapshots[ctx$agent_id] = table();

	local known = snapshots[ctx$agent_id];

	if ( ctx$query_id in known && known[ctx$query_id] == ctx$host_time )
		return F;

	known[ctx$query_id] = ctx$host_time;
	return T;
	}

# Whether a row tells that something is gone.
function is_gone(ctx: ZeekAgent::Context): bool
	{
	return ctx?$change && ctx$change == ZeekAgent::Delete;
	}

# Returns a port of a protocol by its number, as in IP headers; `unknown` if it is unset.
function make_port(number: count, protocol: count): port
	{
	local proto = unknown_transport;

	if ( protocol == 6 )
		proto = tcp;
	else if ( protocol == 17 )
		proto = udp;

	return count_to_port(number, proto);
	}
