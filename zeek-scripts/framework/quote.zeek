##! Values from elsewhere as parts of SQL statements.

module ZeekAgent;

export {
	## Returns a text as SQL has it, in quotes.
	global quote: function(text: string): string;

	## Returns a path as the argument of ``files_list``, ``files_hash`` and their like, in
	## quotes: the pattern that only this path matches.
	global quote_path: function(path: string): string;
}

function quote(text: string): string
	{
	return fmt("'%s'", gsub(text, /'/, "''"));
	}

function quote_path(path: string): string
	{
	local escaped = gsub(path, /\[/, "[[]");
	escaped = gsub(escaped, /\*/, "[*]");
	return quote(gsub(escaped, /\?/, "[?]"));
	}
