"""The page of the configuration file, from the list of its keys."""

from pathlib import Path
from typing import Any

from zeek_agent_core.config import Config
from zeek_agent_core.config_keys import SETTINGS, Setting

INTRODUCTION = """\
# Configuration

One TOML file. It is looked for, in this order: `-c FILE`, the file that
`ZEEK_AGENT_CONFIG` names, `/etc/zeek-agent/zeek-agent.toml`, then
`zeek-agent.conf` and `zeek-agent.cfg` in `etc` beside the directory of the
program. On macOS it is `zeek-agent.cfg` in `ZeekAgent` below Application
Support, on Windows in `ZeekAgent` below `%PROGRAMDATA%`. No file is fine: every
key has a default.

Every key but those of `[tables]`, `[osquery]` and `[[query]]` can be set in the environment
too: `[log] level` as `ZEEK_AGENT_LOG_LEVEL`, `state-dir` as
`ZEEK_AGENT_STATE_DIR`, lists separated by commas. The environment wins over the
file, and the command line over both; `-z` adds to the destinations. Unknown keys
and sections are errors, with the nearest name. `zeek-agent --check-config` tells
whether a file can be used, and compiles its queries; SIGHUP makes a running
agent read it again.
"""

FREE = """\
## [tables.NAME]

Settings that tables read.

| Key | Default | |
|---|---|---|
| `[tables.files] max_matches` | 100000 | paths a pattern may match; more is an error |
| `[tables.files] max_line_bytes` | 1048576 | a longer line is cut, and counted as a warning |
| `[tables.files] max_hash_bytes` | 1073741824 | a larger file is not hashed, and counted |
| `[tables.files_events] paths` | see its page | patterns of what is watched |
| `[tables.files_events] max_watches` | 20000 | directories that are watched at most |
| `[tables.files_events] rescan_interval` | 60 | seconds between two looks of the source `rescan` |
| `[tables.logins_events] directory` | "" | another journal to read |
| `[tables.logins_events] catch_up` | 86400 | seconds to look back after a pause |
| `[tables.system_logs_events] fields` | `[]` | for the column `fields`; `["*"]`: all |
| `[tables.system_logs_events] directory` | "" | another journal to read |
| `[tables.system_logs_events] files` | see its page | files of syslog, where there is no journal |
| `[tables.system_logs_events] catch_up` | 86400 | seconds to go back at most when the agent did not run |
| `[tables.system_logs_events] catch_up` | 86400 | seconds to look back after a pause |
| `[tables.audit] ...` | | see [auditing](auditing.md) |
| `[tables.processes_events] source` | "" | the only source to use, by its name; empty: the best that works |
| `[tables.processes_events] initial` | false | whether to begin with what runs already, in state `running` |
| `[tables.processes_events] forks` | false | whether processes that are made are told before they execute a program, in state `forked` |
| `[tables.processes_events] interval` | 1 | seconds between two looks of the source `polling` |
| `[tables.processes_events] mount_tracefs` | true | whether the source `tracefs` may mount it, unseen by others, where it is not mounted |
| `[tables.sockets_events] source` | "" | the only source to use, by its name; empty: the best that works |
| `[tables.sockets_events] initial` | false | whether to begin with what is open already, in state `open` |
| `[tables.sockets_events] interval` | 2 | seconds between two looks of the source `polling`, or at UDP sockets of others |
| `[tables.sockets_events] mount_tracefs` | true | as for `processes_events` |
| `[tables.sockets_events] system_calls` | false | whether the source `BPF` looks at system calls too, which tells the peers of UDP sockets that have no fixed one; every system call of the host takes some tens of nanoseconds longer |
| `[tables.system_logs_events] catch_up` | 86400 | seconds to look back after a pause |
| `[tables.services] timeout` | 5 | seconds that the service manager may take |
| `[tables.registry] max_matches` | 100000 | keys a pattern may match; more is an error |
| `[tables.registry] max_value_bytes` | 65536 | longer data is cut, and counted as a warning |

These are Linux's and the registry's; the tables of other systems have
[some of their own](macos-and-windows.md).

## [osquery]

With the pack `zeek-agent-osquery`; see [osquery](osquery.md#settings).

| Key | Default | |
|---|---|---|
| `extensions_socket` | none | osquery's extension socket; without it osquery is not asked |
| `timeout` | 5 | seconds that an answer may take |
| `retry_interval` | 30 | most seconds between two attempts to reach osquery |
| `refresh_interval` | 60 | seconds after which osquery is asked which tables it has |
| `prefix` | `"osquery_"` | what the names of osquery's tables begin with |
| `plain_names` | true | whether they have their own names too, where those are free |
| `include_events` | `[]` | tables of events to offer, as patterns |
| `exclude` | `[]` | tables to leave out, as patterns |
| `allow_queries` | false | whether osquery runs whole statements: `osquery('SELECT ...')` |
| `max_rows` | 100000 | rows of one answer; more is an error |
| `max_reply` | 64 | MiB of one answer; more is an error |

## [[query]]

A query of `--local`; the block may be repeated.

| Key | Default | |
|---|---|---|
| `name` | required | id of the query |
| `sql` | required | the statement |
| `interval` | 30 | seconds between runs; 0 runs it once |
| `subscription` | `"snapshots"` | or `"differences"`, `"snapshot_plus_differences"`, `"events"` |
| `requires_tables` | `[]` | it waits until all of these exist |
| `if_missing_tables` | `[]` | it waits while one of these exists |
| `output` | the name | the log it is written to |

```toml
[[query]]
name = "listeners"
sql = "SELECT process, local_addr, local_port FROM sockets WHERE state = 'LISTEN'"
interval = 10
subscription = "differences"
```
"""

KINDS = {
    "text": "text",
    "texts": "text or list",
    "flag": "true or false",
    "seconds": "seconds",
    "count": "number",
    "mebibytes": "MiB",
}


def page(note: str) -> str:
    """Return the page, with *note* on where it comes from at its top."""
    parts = [note, INTRODUCTION]
    sections = list(dict.fromkeys(setting.section for setting in SETTINGS))
    for section in sections:
        title = f"## [{section}]" if section else "## Top of the file"
        rows = [row(setting) for setting in SETTINGS if setting.section == section]
        parts.append(
            "\n".join([title, "", "| Key | Value | Default | |", "|---|---|---|---|", *rows])
        )
    return "\n\n".join(part.rstrip() for part in (*parts, FREE)) + "\n"


def row(setting: Setting) -> str:
    """Return the table row of one key."""
    kind = KINDS.get(setting.kind) or ", ".join(f"`{w}`" for w in setting.kind.split("|"))
    return f"| `{setting.key}` | {kind} | {default(setting)} | {setting.description} |"


def default(setting: Setting) -> str:
    """Return the value a key has when it is not given."""
    value: Any = Config()
    for name in setting.target.split("."):
        value = getattr(value, name)
    if value is None or value in ("", ()):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if setting.kind == "mebibytes":
        value >>= 20
    return f"{value:g}" if isinstance(value, float) else str(value)


def path(root: Path) -> Path:
    """Return where the page is."""
    return root / "docs/configuration.md"
