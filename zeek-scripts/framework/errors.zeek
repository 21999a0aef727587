##! What agents could not do: an event, a log, and a line in ``reporter.log``.

@load ./agents

module ZeekAgent;

export {
	## An agent could not do what it was asked to. ``ctx`` has the query, if it is
	## about one. Raised on the designated node.
	global agent_error: event(ctx: Context, msg: string);

	## The stream of ``zeek-agent-errors.log``.
	redef enum Log::ID += { ERRORS_LOG };

	## A line of ``zeek-agent-errors.log``.
	type ErrorInfo: record {
		t: time &log; ##< when Zeek received it
		hid: string &log; ##< ID of the agent
		host: string &log; ##< name of its host
		query_id: string &log &optional; ##< the query it is about
		cookie: string &log &optional; ##< the cookie of that query
		sql: string &log &optional; ##< its statement
		message: string &log; ##< what went wrong
	};

	## Policy hook of ``zeek-agent-errors.log``.
	global log_policy_errors: Log::PolicyHook;
}

function log_error(ctx: Context, sql: string, msg: string)
	{
	local line = ErrorInfo($t=network_time(), $hid=ctx$agent_id, $host=hostname(
	    ctx), $message=msg);

	if ( ctx?$query_id )
		line$query_id = ctx$query_id;
	if ( ctx?$cookie )
		line$cookie = ctx$cookie;
	if ( sql != "" )
		line$sql = sql;

	Log::write(ERRORS_LOG, line);
	}

event zeek_init() &priority=100
	{
	Log::create_stream(ERRORS_LOG, Log::Stream($columns=ErrorInfo,
	    $path="zeek-agent-errors", $policy=log_policy_errors));
	}
