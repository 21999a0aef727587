##! Logs which user and program sent each HTTP request: ``http-user.log``.
##!
##! Zeek sees the request and asks the host that sent it, once, who has the socket. That
##! works while the connection lasts, some tenths of a second at least. For connections
##! of any length, ``conn.log`` has the answer when they are over.

@load ../framework
@load base/protocols/http

module HTTPUser;

export {
	redef enum Log::ID += { LOG };

	## A line of the log.
	type Info: record {
		t: time &log; ##< when the request was seen
		uid: string &log; ##< unique ID of the connection
		host: string &log; ##< name of the host
		username: string &log &optional; ##< user
		name: string &log &optional; ##< program
		agent: string &log &optional; ##< what the program says that it is
		method: string &log; ##< method of the request
		uri: string &log; ##< what it asks for
	};

	## What the query selects.
	type Columns: record {
		username: string &optional;
		name: string &optional;
	};
}

const statement =
    "SELECT u.name, p.name FROM sockets s JOIN processes p ON p.pid = s.pid "
    + "LEFT JOIN users u ON u.uid = CAST(p.uid AS TEXT) "
    + "WHERE s.protocol = 6 AND s.local_port = %d AND s.remote_port = %d";

function ask(hid: string, sql: string, line: Info)
	{
	when [hid, sql, line] ( local answer = ZeekAgent::execute(sql, hid) )
		{
		for ( i in answer$rows )
			{
			local row = answer$rows[i] as Columns;

			if ( row?$username )
				line$username = row$username;

			if ( row?$name )
				line$name = row$name;

			Log::write(LOG, line);
			}
		}
	}

event http_message_done(c: connection, is_orig: bool, stat: http_message_stat)
	{
	if ( ! is_orig || ! c?$http || ! c$http?$method || ! c$http?$uri )
		return;

	for ( hid in ZeekAgent::hosts_by_addr(c$id$orig_h) )
		{
		local line = Info($t=network_time(), $uid=c$uid, $host=ZeekAgent::name_of(
		    hid), $method=c$http$method, $uri=c$http$uri);

		if ( c$http?$user_agent )
			line$agent = c$http$user_agent;

		ask(hid, fmt(statement, port_to_count(c$id$orig_p), port_to_count(
		    c$id$resp_p)), line);
		}
	}

event zeek_init()
	{
	Log::create_stream(LOG, Log::Stream($columns=Info, $path="http-user"));
	}
