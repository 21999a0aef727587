##! One-shot queries, with an answer to wait for.

@load ./queries

module ZeekAgent;

export {
	## Asks one agent once, and waits for all rows. For use in ``when``:
	##
	## .. code-block:: zeek
	##
	##    when [hid] ( local a = ZeekAgent::execute("SELECT name FROM users", hid) )
	##        { for ( _, row in a$rows ) print (row as UserName)$name; }
	##
	## sql: a statement that gives rows.
	##
	## hid: the ID of the agent; see ``hosts_by_addr``.
	##
	## wait: how long to wait.
	##
	## Returns: the answer; ``ok`` is false if there is none, and ``error`` says why.
	global execute: function(sql: string, hid: string, wait: interval &default=10
	    secs): Answer;
}

# The answers that are under way, and those that are complete.
global awaited: table[string] of Answer;
global answers: table[string] of Answer;

# A row of an answer: the columns asked for, then whether it is one, and how many there are.
global one_shot_row: event(ctx: Context, columns: any);

# Returns a statement that gives at least one row, and says in each how many there are.
function counted(sql: string): string
	{
	local statement = gsub(sql, /[[:space:];]+$/, "");
	return fmt("SELECT r.*, count(r.is_row) OVER () FROM (SELECT 1) LEFT JOIN "
	    + "(SELECT q.*, 1 AS is_row FROM (%s\n) AS q) AS r ON 1", statement);
	}

function finish(id: string, error: string)
	{
	local a = awaited[id];
	a$ok = error == "";
	a$error = error;
	delete awaited[id];
	answers[id] = a;
	}

event ZeekAgent::one_shot_row(ctx: Context, columns: any)
	{
	if ( ! ctx?$query_id || ctx$query_id !in awaited )
		return;

	local id = ctx$query_id;
	local row = columns as Broker::Data;
	local size = Broker::vector_size(row);
	local total = Broker::refine_to_int(Broker::vector_lookup(row, size - 1));

	if ( total > 0 )
		awaited[id]$rows += columns;
	if ( |awaited[id]$rows| >= total )
		finish(id, "");
	}

function execute(sql: string, hid: string, wait: interval): Answer
	{
	if ( hid !in agents )
		return Answer($hid=hid, $error="no such agent");

	local id = unique_id("zx_");
	awaited[id] = Answer($hid=hid);
	local q = Query($sql_stmt=counted(sql), $event_=one_shot_row);
	send_install(host_topic(hid), zeek_instance, id, q);

	return when [id, hid, wait] ( id in answers )
		{
		local answer = answers[id];
		delete answers[id];
		return answer;
		}
	timeout wait
		{
		delete awaited[id];
		send_cancel(host_topic(hid), zeek_instance, id);
		return Answer($hid=hid, $error=fmt("no answer within %s", wait));
		}
	}
