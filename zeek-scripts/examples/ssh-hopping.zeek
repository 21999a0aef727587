##! Notices SSH connections that somebody made who had come by SSH: from host to host.
##!
##! When an SSH connection leaves a host with an agent, the host is asked for the line of
##! processes behind it. If one of them has an SSH connection that came in, that is where
##! the user came from.

@load ../framework
@load base/frameworks/notice

module SSHHopping;

export {
	redef enum Notice::Type += {
		## Somebody came to a host by SSH and went on by SSH.
		SSH_Hop
	};

	## Ports of SSH servers.
	option ssh_ports: set[port] = {22/tcp};

	## How the names of SSH servers' processes begin.
	option server_name = "sshd";

	## What the query selects: the connection that came in.
	type Columns: record {
		origin: addr &optional;
		origin_port: count &optional;
		server_pid: count &optional;
		client: string &optional;
		client_pid: count &optional;
	};
}

# From the process with the socket upwards, then the connection of the SSH server there.
const statement = "WITH RECURSIVE line(pid, ppid, name, depth) AS ("
    + "SELECT p.pid, p.ppid, p.name, 0 FROM sockets s JOIN processes p ON p.pid = s.pid "
    + "WHERE s.protocol = 6 AND s.local_port = %d AND s.remote_port = %d "
    + "UNION ALL SELECT p.pid, p.ppid, p.name, line.depth + 1 FROM line "
    + "JOIN processes p ON p.pid = line.ppid WHERE line.ppid > 0 AND line.depth < 64) "
    + "SELECT s.remote_addr, s.remote_port, line.pid, client.name, client.pid FROM line "
    + "JOIN sockets s ON s.pid = line.pid AND s.state = 'ESTABLISHED' AND s.local_port IN (%s) "
    + "JOIN line AS client ON client.depth = 0 "
    + "WHERE line.depth > 0 AND line.name LIKE '%s%%' ORDER BY line.depth LIMIT 1";

function server_ports(): string
	{
	local numbers: vector of string;

	for ( p in ssh_ports )
		numbers += cat(port_to_count(p));

	return join_string_vec(numbers, ", ");
	}

function ask(hid: string, sql: string, c: connection)
	{
	when [hid, sql, c] ( local answer = ZeekAgent::execute(sql, hid) )
		{
		for ( i in answer$rows )
			{
			local row = answer$rows[i] as Columns;

			if ( ! row?$origin )
				next;

			NOTICE([$note=SSH_Hop, $conn=c, $identifier=cat(row$origin, c$uid), $msg=fmt(
			    "from %s by SSH to %s, and on to %s", row$origin,
			    ZeekAgent::name_of(hid), c$id$resp_h), $sub=fmt("%s (process %d) descends from process %d, which serves %s:%d",
			    row?$client ? row$client : "?", row?$client_pid ?
			    row$client_pid : 0, row$server_pid, row$origin,
			    row$origin_port)]);
			}
		}
	}

event connection_established(c: connection)
	{
	if ( c$id$resp_p !in ssh_ports )
		return;

	local sql = fmt(statement, port_to_count(c$id$orig_p), port_to_count(
	    c$id$resp_p), server_ports(), server_name);

	for ( hid in ZeekAgent::hosts_by_addr(c$id$orig_h) )
		ask(hid, sql, c);
	}
