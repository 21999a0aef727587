##! Types that scripts and the agents' messages have in common.
##!
##! The order of the fields of ``Context`` and ``Query`` is that of the messages.

module ZeekAgent;

export {
	## What the runs of a query with an interval return.
	type SubscriptionType: enum {
		## All rows, each time.
		Snapshots,
		## The rows that came or went since the run before; the first run returns none.
		Differences,
		## All rows at first, then as ``Differences``.
		SnapshotPlusDifferences,
		## The rows that came; meant for evented tables.
		Events,
	};

	## What happened to a row.
	type ChangeType: enum {
		## The row is new.
		Add,
		## The row is gone.
		Delete,
	};

	## What every result begins with.
	type Context: record {
		## The agent that sends it.
		agent_id: string;
		## When the query ran, by the clock of the host.
		host_time: time;
		## The query that it answers.
		query_id: string &optional;
		## What happened to the row; unset in snapshots.
		change: ChangeType &optional;
		## The cookie of the query.
		cookie: string &optional;
	};

	## A question to agents.
	type Query: record {
		## The SQL statement.
		sql_stmt: string &default="";
		## How often it runs; once if unset.
		schedule_: interval &optional;
		## What repeated runs return.
		subscription: SubscriptionType &default=Snapshots;
		## The event that is raised for each row, with the parameters ``Context`` and a
		## record of the columns.
		event_: any &optional;
		## Comes back with each result.
		cookie: string &optional;
		## Run only where all these tables exist.
		requires_tables: set[string] &default=set();
		## Run only where none of these tables exists.
		if_missing_tables: set[string] &default=set();
	};

	## Whom a query is for.
	type Scope: enum {
		## The members of a group, and of the groups below it.
		Group,
		## One agent, by its ID.
		Host,
		## The agents that have an address.
		Address,
		## The agents that have an address in a subnet.
		Subnet,
	};

	## Whom a query is for, in any combination.
	type Targets: record {
		## Groups; ``all`` is every agent, ``linux`` every one on Linux.
		groups: set[string] &default=set();
		## IDs of agents.
		hosts: set[string] &default=set();
		## Addresses of hosts.
		addresses: set[addr] &default=set();
		## Subnets that hosts have an address in.
		subnets: set[subnet] &default=set();
	};

	## What a one-shot query brought.
	type Answer: record {
		## The agent that was asked.
		hid: string;
		## Whether the rows are complete.
		ok: bool &default=F;
		## Why not.
		error: string &default="";
		## The rows; ``row as MyRecord`` turns one into a record of the columns.
		rows: vector of any &default=vector();
	};
}
