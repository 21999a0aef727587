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
	global execute: function(sql: string, hid: string, wait: interval &default=10sec)
	    : Answer;
}

# The answers that are under way, and those that are complete.
global awaited: table[string] of Answer;
global answers: table[string] of Answer;

# On other nodes than the designated one: passes on what is asked. On that one: passes
# back the answer.
global forward_execute: function(id: string, sql: string, hid: string,
    wait: interval);
global answer_node: function(id: string, answer: Answer);

# Nodes whose answer is under way, by ID of the one-shot query.
global answer_to: table[string] of string;

# A row of an answer: the columns asked for, then whether it is one, and how many there are.
global one_shot_row: event(ctx: Context, columns: any);

# Returns a statement that gives at least one row, and says in each how many there are.
function counted(sql: string): string
	{
	local statement = gsub(sql, /[[:space:];]+$/, "");
	return fmt("SELECT r.*, count(r.is_row) OVER () FROM (SELECT 1) LEFT JOIN "
	    + "(SELECT q.*, 1 AS is_row FROM (%s\n) AS q) AS r ON 1", statement);
	}

# Completes an answer.
function finish(id: string, error: string)
	{
	local a = awaited[id];
	a$ok = error == "";
	a$error = error;
	delete awaited[id];

	if ( a$hid in agents )
		++agents[a$hid]$statistics$answers;
	if ( id in answer_to )
		answer_node(id, a);
	else
		answers[id] = a;
	}

# Asks an agent, on the designated node.
function ask(id: string, sql: string, hid: string)
	{
	awaited[id] = Answer($hid=hid);

	if ( hid in agents )
		install(host_topic(hid), id, Query($sql_stmt=counted(sql),
		    $event_=one_shot_row));
	else
		finish(id, "no such agent");
	}

# Does not wait for an answer any more.
function give_up(id: string)
	{
	if ( id !in awaited )
		return;

	if ( is_designated() )
		send_cancel(host_topic(awaited[id]$hid), zeek_instance, id);
	delete awaited[id];
	}

event ZeekAgent::one_shot_row(ctx: Context, columns: any)
	{
	if ( ! ctx?$query_id || ctx$query_id !in awaited )
		return;

	local id = ctx$query_id;
	local row = columns as Broker::Data;
	local size = Broker::vector_size(row);
	local total = Broker::vector_lookup(row, size - 1) as int;

	if ( total > 0 )
		awaited[id]$rows += columns;
	if ( |awaited[id]$rows| >= total )
		finish(id, "");
	}

function execute(sql: string, hid: string, wait: interval): Answer
	{
	local id = unique_id("zx_");
	if ( is_designated() )
		ask(id, sql, hid);
	else
		{
		awaited[id] = Answer($hid=hid);
		forward_execute(id, sql, hid, wait);
		}

	return when [id, hid, wait] ( id in answers )
		{
		local answer = answers[id];
		delete answers[id];
		return answer;
		}
	timeout wait
		{
		give_up(id);
		return Answer($hid=hid, $error=fmt("no answer within %s", wait));
		}
	}
