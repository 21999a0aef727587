##! Names of users: from the table ``users``.

@load ./clocks

module ZeekAgent::Attribution;

export {
	## Whether ``users`` is asked for.
	const use_users = T &redef;

	## How often.
	option users_interval = 60secs;

	## A row of the query.
	type UsersRow: record {
		uid: string &optional;
		name: string &optional;
	};

	## A user is there, or gone.
	global users_row: event(ctx: ZeekAgent::Context, row: UsersRow);
}

const users_statement = "SELECT uid, name FROM users";

event users_row(ctx: ZeekAgent::Context, row: UsersRow)
	{
	if ( ! row?$uid || ! row?$name || /^[0-9]+$/ != row$uid )
		return;

	local hid = ctx$agent_id;
	local name = is_gone(ctx) ? "" : row$name;
	tell(Fact($what=USER, $hid=hid, $t=by_our_clock(hid, ctx$host_time),
	    $value=row$uid, $name=name));
	}

event zeek_init()
	{
	if ( ! enabled || ! use_users )
		return;

	local q = ZeekAgent::Query($sql_stmt=users_statement, $event_=users_row,
	    $schedule_=users_interval,
	    $subscription=ZeekAgent::SnapshotPlusDifferences,
	    $requires_tables=set("users"));
	ZeekAgent::query(q);
	}
