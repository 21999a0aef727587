##! What the scripts that log tables have in common.

@load ./agents

module ZeekAgent;

export {
	## Returns what happened to a row, for logs: ``new``, ``gone`` or nothing.
	global change_type: function(ctx: Context): string;

	## Returns a map of names for ``Log::Filter``: each field of the record type
	## ``rec`` loses its prefix.
	global log_column_map: function(rec: any, strip_prefix: string): table[string] of
	    string;

	## Creates a log stream whose record has the field ``columns``; in the log its
	## fields stand without prefix.
	##
	## id: the stream.
	##
	## info: the type of its records.
	##
	## columns: the type of their field ``columns``.
	##
	## path: the name of the log.
	##
	## policy: its policy hook.
	global create_log: function(id: Log::ID, info: any, columns: any, path: string,
	    policy: Log::PolicyHook);

	## Counts a row that an agent sent.
	global count_row: function(ctx: Context);
}

function change_type(ctx: Context): string
	{
	if ( ! ctx?$change )
		return "";

	return ctx$change == Add ? "new" : "gone";
	}

function log_column_map(rec: any, strip_prefix: string): table[string] of string
	{
	local names: table[string] of string = table();
	for ( field in record_fields(rec) )
		names[strip_prefix + field] = field;

	return names;
	}

function create_log(id: Log::ID, info: any, columns: any, path: string,
    policy: Log::PolicyHook)
	{
	Log::create_stream(id, Log::Stream($columns=info, $policy=policy));
	Log::remove_default_filter(id);
	Log::add_filter(id, Log::Filter($name="default", $path=path,
	    $field_name_map=log_column_map(columns, "columns.")));
	}

function count_row(ctx: Context)
	{
	if ( ctx$agent_id in agents )
		++agents[ctx$agent_id]$statistics$rows;
	}
