##! The hosts with agents, by their addresses.

@load ./types

module ZeekAgent::Attribution;

export {
	## Returns the agents of the hosts that have an address.
	global hosts_by_addr: function(a: addr): set[string];

	## Returns a host; one without addresses if it is not known.
	global host: function(hid: string): Host;
}

# Addresses that say nothing about which host it is.
const unspecific = {
	127.0.0.0/8,
	169.254.0.0/16,
	224.0.0.0/4,
	0.0.0.0/8,
	[::]/127,
	[fe80::]/10,
	[ff00::]/8
};

# All hosts.
global hosts: table[string] of Host;

# Their agents, by address. Hosts may share an address.
global by_addr: table[addr] of set[string];

# Drops a host, unless it came back.
global forget_host: event(hid: string, gone_at: time);

function hosts_by_addr(a: addr): set[string]
	{
	return a in by_addr ? copy(by_addr[a]) : set();
	}

function host(hid: string): Host
	{
	return hid in hosts ? hosts[hid] : Host($hid=hid);
	}

# Makes sure that there is a host; false if there are too many.
function has_host(hid: string): bool
	{
	if ( hid in hosts )
		return T;

	if ( |hosts| >= max_hosts )
		{
		warn_bound("max_hosts", hid);
		++stats_now$dropped_hosts;
		return F;
		}

	hosts[hid] = Host($hid=hid);
	return T;
	}

function forget_address(hid: string, a: addr)
	{
	if ( a !in by_addr )
		return;

	delete by_addr[a][hid];

	if ( |by_addr[a]| == 0 )
		delete by_addr[a];
	}

function set_host(hid: string, name: string, addresses: set[addr])
	{
	local h = hosts[hid];
	local wanted: set[addr];

	for ( a in addresses )
		if ( a !in unspecific && |wanted| < max_addresses )
			add wanted[a];

	for ( a in h$addresses )
		if ( a !in wanted )
			forget_address(hid, a);

	for ( a in wanted )
		{
		if ( a !in by_addr )
			by_addr[a] = set();

		add by_addr[a][hid];
		}

	h$name = name;
	h$addresses = wanted;
	delete h$gone_at;
	}

function drop_host(hid: string)
	{
	for ( a in hosts[hid]$addresses )
		forget_address(hid, a);

	delete hosts[hid];
	}

event forget_host(hid: string, gone_at: time)
	{
	if ( hid in hosts && hosts[hid]?$gone_at && hosts[hid]$gone_at == gone_at )
		drop_host(hid);
	}

function host_gone(hid: string, t: time)
	{
	hosts[hid]$gone_at = t;
	schedule host_keep { forget_host(hid, t) };
	}
