"""Which queries run without a Zeek: those of the Zeek package, and the user's own."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from zeek_agent_core.config import Config
from zeek_agent_core.errors import ConfigError
from zeek_agent_core.host import platform
from zeek_agent_core.local import stock
from zeek_agent_core.local.stock import LogColumn
from zeek_agent_core.query import Query, Subscription

INTERVAL = timedelta(seconds=30)
LONGEST = timedelta(days=366)

FILES = ('SELECT * FROM files_list("/etc/*")', 'SELECT * FROM files_list("/etc/*/*")')
SSH_CONFIGS = (
    'SELECT * FROM files_columns("/etc/ssh/sshd_config", "$1:text,$2:text")',
    'SELECT * FROM files_columns("/etc/ssh/sshd_config.d/*", "$1:text,$2:text")',
)
SSH_KEYS: Mapping[str, tuple[str, ...]] = {
    "linux": ('SELECT * FROM files_lines("/home/*/.ssh/authorized_keys")',),
    "darwin": ('SELECT * FROM files_lines("/Users/*/.ssh/authorized_keys")',),
}

PROCESSES = "SELECT name,pid,uid,gid,ppid,priority,startup FROM processes"
PROCESSES_EVENTS = (
    "SELECT time, name, pid, ppid, uid, gid, ruid, rgid, priority, duration, "
    "state, exe, cmdline, cwd, startup, exit_code, exit_signal, auid, container "
    "FROM processes_events"
)
SOCKETS_EVENTS = (
    "SELECT time, pid, process, uid, gid, family, protocol, local_addr, "
    "local_port, remote_addr, remote_port, state, direction, duration, sent, received, "
    "error, seuid FROM sockets_events"
)
FILE_EVENTS = (
    "SELECT time, action, path, old_path, is_directory, pid, process, exe, uid, "
    "count FROM files_events"
)
SYSTEM_LOGS = "SELECT time, process, level, message FROM system_logs_events"
SERVICES = (
    "SELECT name, description, is_running, is_enabled, path, pid, "
    "active_state, sub_state FROM services"
)
INTERFACES = "SELECT name, mac, mtu, is_up, is_loopback, addresses FROM interfaces"
MOUNTS = "SELECT device, path, type, options, is_read_only FROM mounts"
LISTENING_PORTS = (
    "SELECT s.local_addr, s.local_port, s.protocol, s.pid, s.process, p.exe, p.uid, u.name "
    "FROM sockets s LEFT JOIN processes p ON p.pid = s.pid LEFT JOIN users u ON u.uid = p.uid "
    "WHERE s.state = 'LISTEN' OR "
    "(s.protocol IN (17, 136) AND s.remote_port = 0 AND s.local_port != 0)"
)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_ONCE = "interval 0 runs a query only once"


@dataclass(frozen=True, slots=True)
class LocalQuery:
    """A query, and the log that its results go to."""

    query: Query
    output: str
    """Name of the log; also the name of its file, without the ending."""
    columns: tuple[LogColumn, ...] = ()
    """Columns of a log that Zeek has too; none where the result says what they are."""
    has_change: bool = True
    """Whether Zeek's form of the log has a column for the kind of change."""


def default_pack(platform: str, *, interval: timedelta = INTERVAL) -> tuple[LocalQuery, ...]:
    """Return the queries of the Zeek package's table scripts for *platform*."""

    def ask(
        log: str,
        columns: tuple[LogColumn, ...],
        *statements: str,
        subscription: Subscription = Subscription.DIFFERENCES,
        requires: str | None = None,
    ) -> list[LocalQuery]:
        output = f"zeek-agent-{log}"
        several = len(statements) > 1
        queries = [
            Query(
                id=f"{output}-{number}" if several else output,
                sql=sql,
                interval=interval,
                subscription=subscription,
                requires_tables=frozenset({requires} if requires else ()),
                asker="local",
            )
            for number, sql in enumerate(statements, 1)
        ]
        # A log of events alone has nothing to say about the kind of change.
        has_change = subscription is not Subscription.EVENTS
        return [LocalQuery(query, output, columns, has_change) for query in queries]

    def collect(
        log: str, columns: tuple[LogColumn, ...], statement: str, table: str
    ) -> list[LocalQuery]:
        events = Subscription.EVENTS
        return ask(log, columns, statement, subscription=events, requires=table)

    keys = SSH_KEYS.get(platform, ())
    return (
        *ask("files", stock.FILES, *FILES),
        *ask("processes", stock.PROCESSES, PROCESSES),
        *ask("sockets", stock.SOCKETS, "SELECT * FROM sockets"),
        *ask("ssh-configs", stock.SSH_CONFIGS, *SSH_CONFIGS),
        *ask("ssh-authorized-keys", stock.SSH_AUTHORIZED_KEYS, *keys),
        *collect("system-logs", stock.SYSTEM_LOGS, SYSTEM_LOGS, "system_logs_events"),
        *ask("users", stock.USERS, "SELECT * FROM users"),
        *collect("processes-events", stock.PROCESSES_EVENTS, PROCESSES_EVENTS, "processes_events"),
        *collect("sockets-events", stock.SOCKETS_EVENTS, SOCKETS_EVENTS, "sockets_events"),
        *collect("file-events", stock.FILE_EVENTS, FILE_EVENTS, "files_events"),
        *ask("services", stock.SERVICES, SERVICES, requires="services"),
        *ask("interfaces", stock.INTERFACES, INTERFACES, requires="interfaces"),
        *ask("mounts", stock.MOUNTS, MOUNTS, requires="mounts"),
        *ask("listening-ports", stock.LISTENING_PORTS, LISTENING_PORTS),
    )


def configured_pack(config: Config) -> tuple[LocalQuery, ...]:
    """Return the queries of local mode: the default ones, and the configuration's own."""
    seconds = config.local.interval
    interval = INTERVAL if seconds is None else timedelta(seconds=seconds)
    stock = default_pack(platform(), interval=interval) if config.local.default_pack else ()
    return (*stock, *pack_from_settings(config.queries, beside=stock))


def pack_from_settings(
    entries: Any, *, beside: Iterable[LocalQuery] = ()
) -> tuple[LocalQuery, ...]:
    """Return the queries of all `[[query]]` *entries*, to run with those *beside* them.

    Raises `ConfigError` for an entry that cannot be used, and for a name or
    an output that is taken.
    """
    if isinstance(entries, Mapping):
        raise ConfigError("query: a list is expected; write [[query]] instead of [query]")
    if isinstance(entries, str) or not isinstance(entries, Sequence):
        raise ConfigError("query: a list is expected; write each query below a line [[query]]")
    names = {other.query.id for other in beside}
    outputs = {other.output: other.query.id for other in beside}
    pack = []
    for number, entry in enumerate(entries, 1):
        where = f"[[query]] number {number}"
        own = query_from_settings(entry, where=where)
        name = own.query.id
        if name in names:
            raise ConfigError(f'{where}: name "{name}" is taken; each query needs its own')
        if own.output in outputs:
            # Queries with different columns would start a new file at each result.
            raise ConfigError(
                f'{where}: output "{own.output}" is that of query "{outputs[own.output]}"; '
                "each query of your own needs its own log"
            )
        names.add(name)
        outputs[own.output] = name
        pack.append(own)
    return tuple(pack)


def query_from_settings(entry: Mapping[str, Any], *, where: str = "[[query]]") -> LocalQuery:
    """Return the query that one `[[query]]` *entry* of the configuration describes.

    `name` and `sql` are required; the interval is 30 seconds, the subscription
    `snapshots` and the output the name, if not given. Raises `ConfigError`,
    which names the entry as *where*.
    """
    if not isinstance(entry, Mapping):
        raise ConfigError(f'{where}: settings are expected, such as name = "users"')
    for key in entry:
        if key not in _KEYS:
            raise ConfigError(f"{where}: unknown key {key!r}; {_nearest(str(key), _KEYS)}")
    name = _name(entry, "name", where, None)
    where = f'{where} ("{name}")'
    sql = _text(entry, "sql", where, None)
    interval = _interval(entry, where)
    subscription = _subscription(entry, where)
    if not interval and subscription in {Subscription.DIFFERENCES, Subscription.EVENTS}:
        raise ConfigError(
            f"{where}: {_ONCE}, so {subscription} has nothing to compare with; "
            'give an interval above 0 or write subscription = "snapshots"'
        )
    query = Query(
        id=name,
        sql=sql,
        interval=interval,
        subscription=subscription,
        requires_tables=_tables(entry, "requires_tables", where),
        if_missing_tables=_tables(entry, "if_missing_tables", where),
        asker="local",
    )
    return LocalQuery(query, _name(entry, "output", where, name))


_KEYS = (
    "name",
    "sql",
    "interval",
    "subscription",
    "requires_tables",
    "if_missing_tables",
    "output",
)


def _nearest(word: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(word.lower(), known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"use one of {', '.join(known)}"


def _text(entry: Mapping[str, Any], key: str, where: str, default: str | None) -> str:
    value = entry.get(key, default)
    if value is None:
        raise ConfigError(f'{where}: {key} is missing; add {key} = "..."')
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {key} is {value!r}; text in quotes is expected")
    if not value.strip():
        raise ConfigError(f"{where}: {key} is empty; write something in the quotes")
    return value


def _name(entry: Mapping[str, Any], key: str, where: str, default: str | None) -> str:
    value = _text(entry, key, where, default)
    if not _NAME.fullmatch(value):
        # It is the name of a file, and file systems may not tell `A` from `a`.
        raise ConfigError(
            f"{where}: {key} is {value!r}; use up to 100 of the characters a-z, 0-9, - and _, "
            "and begin with a letter or digit"
        )
    return value


def _interval(entry: Mapping[str, Any], where: str) -> timedelta:
    seconds = entry.get("interval", INTERVAL.total_seconds())
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ConfigError(f"{where}: interval is {seconds!r}; a number of seconds is expected")
    if not 0 <= seconds <= LONGEST.total_seconds():
        raise ConfigError(
            f"{where}: interval is {seconds!r}; use seconds between 0 and "
            f"{LONGEST.total_seconds():.0f}; {_ONCE}"
        )
    return timedelta(seconds=seconds)


def _subscription(entry: Mapping[str, Any], where: str) -> Subscription:
    value = _text(entry, "subscription", where, Subscription.SNAPSHOTS)
    try:
        return Subscription(value)
    except ValueError:
        raise ConfigError(
            f"{where}: subscription is {value!r}; {_nearest(value, Subscription)}"
        ) from None


def _tables(entry: Mapping[str, Any], key: str, where: str) -> frozenset[str]:
    names = entry.get(key, [])
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) and n for n in names):
        raise ConfigError(
            f'{where}: {key} is {names!r}; a list of table names is expected, such as ["users"]'
        )
    return frozenset(names)
