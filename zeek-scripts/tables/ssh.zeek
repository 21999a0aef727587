##! What decides who may log in by SSH: ``zeek-agent-ssh-configs.log`` has the options
##! of the servers, ``zeek-agent-ssh-authorized-keys.log`` the keys of the users.

@load ../framework

module ZeekAgent_SSH;

export {
	## Whether the configuration of servers is asked for.
	const configs_enabled = T &redef;

	## Whether keys are asked for.
	const keys_enabled = T &redef;

	## Patterns of the servers' configuration files; none at all switches the log off.
	option config_paths_to_watch: set[string] = {
		"/etc/ssh/sshd_config",
		"/etc/ssh/sshd_config.d/*"
	};

	## For each platform the patterns of the files with keys; none at all switches the
	## log off.
	option key_paths_to_watch: table[string] of set[string] = {
		["linux"] = set("/home/*/.ssh/authorized_keys"),
		["darwin"] = set("/Users/*/.ssh/authorized_keys"),
	};

	## How often they are asked for.
	option query_interval = 30secs;

	## What is logged; see ``ZeekAgent::SubscriptionType``.
	option subscription = ZeekAgent::Differences;

	## The log streams.
	redef enum Log::ID += {
		LOG_CONFIGS,
		LOG_KEYS
	};

	## An option of a server.
	type ConfigOption: record {
		key: string &optional &log; ##< its name
		value: string &optional &log; ##< the first word of its value
	};

	## A line of a server's configuration.
	type ColumnsConfigs: record {
		path: string &optional &log; ##< the file
		number: count &optional &log; ##< number of the line
		option_: ConfigOption &optional &log; ##< what it says
	};

	# Columns of files_lines: path number content
	type ColumnsKeys: record {
		path: string &optional &log; ##< full path of the file
		number: count &optional &log; ##< number of the line, from 1
		content: string &optional &log; ##< the line without white space at either end
	};
	# End of columns.

	## A line of the log of configurations.
	type InfoConfigs: record {
		t: time &log; ##< when Zeek received it
		hid: string &log; ##< ID of the host
		host: string &log; ##< name of the host
		change: string &optional &log; ##< ``new`` or ``gone``
		columns: ColumnsConfigs &log;
	};

	## A line of the log of keys.
	type InfoKeys: record {
		t: time &log; ##< when Zeek received it
		hid: string &log; ##< ID of the host
		host: string &log; ##< name of the host
		change: string &optional &log; ##< ``new`` or ``gone``
		columns: ColumnsKeys &log;
	};

	## Policy hook of the log of configurations.
	global log_policy_configs: Log::PolicyHook;

	## Policy hook of the log of keys.
	global log_policy_keys: Log::PolicyHook;

	## A line of a server's configuration.
	global query_result_configs: event(ctx: ZeekAgent::Context,
	    columns: ColumnsConfigs);

	## A line of a file with keys.
	global query_result_keys: event(ctx: ZeekAgent::Context, columns: ColumnsKeys);
}

event ZeekAgent_SSH::query_result_configs(ctx: ZeekAgent::Context,
    columns: ColumnsConfigs)
	{
	local info = InfoConfigs($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns);

	if ( ctx?$change )
		info$change = ZeekAgent::change_type(ctx);

	ZeekAgent::count_row(ctx);
	Log::write(LOG_CONFIGS, info);
	}

event ZeekAgent_SSH::query_result_keys(ctx: ZeekAgent::Context,
    columns: ColumnsKeys)
	{
	local info = InfoKeys($t=network_time(), $hid=ctx$agent_id,
	    $host=ZeekAgent::hostname(ctx), $columns=columns);

	if ( ctx?$change )
		info$change = ZeekAgent::change_type(ctx);

	ZeekAgent::count_row(ctx);
	Log::write(LOG_KEYS, info);
	}

function watch_configs()
	{
	ZeekAgent::create_log(LOG_CONFIGS, InfoConfigs, ColumnsConfigs,
	    "zeek-agent-ssh-configs", log_policy_configs);

	for ( path in config_paths_to_watch )
		{
		local q = ZeekAgent::Query($sql_stmt=fmt(
		    "SELECT * FROM files_columns(\"%s\", \"$1:text,$2:text\")",
		    path), $event_=query_result_configs,
		    $schedule_=query_interval, $subscription=subscription);
		ZeekAgent::query(q);
		}
	}

function watch_keys()
	{
	ZeekAgent::create_log(LOG_KEYS, InfoKeys, ColumnsKeys,
	    "zeek-agent-ssh-authorized-keys", log_policy_keys);

	for ( platform, paths in key_paths_to_watch )
		for ( path in paths )
			{
			local q = ZeekAgent::Query($sql_stmt=fmt("SELECT * FROM files_lines(\"%s\")",
			    path), $event_=query_result_keys,
			    $schedule_=query_interval,
			    $subscription=subscription);
			ZeekAgent::query(q, ZeekAgent::Group, platform);
			}
	}

event zeek_init()
	{
	if ( configs_enabled && |config_paths_to_watch| > 0 )
		watch_configs();

	if ( keys_enabled && |key_paths_to_watch| > 0 )
		watch_keys();
	}
