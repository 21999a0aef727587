"""Pure: the messages of both directions, and what they look like to Zeek.

Zeek's records are positional vectors: their fields stand in Zeek's order here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from zeek_agent_core.broker import data
from zeek_agent_core.broker.transport import Event
from zeek_agent_core.errors import MessageError
from zeek_agent_core.query import Change, Subscription

MODULE = "ZeekAgentAPI"
HELLO, SHUTDOWN, ERROR = (
    f"{MODULE}::agent_hello_v1", f"{MODULE}::agent_shutdown_v1", f"{MODULE}::agent_error_v1",
)  # fmt: skip
CHANGES = {
    Change.ADD: data.Enum("ZeekAgent::Add"),
    Change.DELETE: data.Enum("ZeekAgent::Delete"),
}
SUBSCRIPTIONS = {
    "ZeekAgent::Snapshots": Subscription.SNAPSHOTS,
    "ZeekAgent::Differences": Subscription.DIFFERENCES,
    "ZeekAgent::SnapshotPlusDifferences": Subscription.SNAPSHOT_PLUS_DIFFERENCES,
    "ZeekAgent::Events": Subscription.EVENTS,
}
UPDATES = {
    Change.ADD: data.Enum("ZeekAgent::ADD"),
    Change.DELETE: data.Enum("ZeekAgent::REMOVE"),
}
QUERY_FIELDS = 7
FIRST_GENERATION = "first-generation"
"""Second element of a query's event, behind its name: the form of its results."""
MOST_ID_CHARACTERS = 128
LONGEST_INTERVAL = timedelta(days=3650)
_INSTANCE = re.compile(rf"[!-.0-~]{{1,{MOST_ID_CHARACTERS}}}")
"""It becomes one component of a topic, so it has no slash."""
_EVENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(::[A-Za-z_][A-Za-z0-9_]*)*")


@dataclass(frozen=True, slots=True)
class Context:
    """What every event of the agent's begins with."""

    agent_id: str
    host_time: int
    """Nanoseconds since the epoch."""
    query_id: str | None = None
    change: Change | None = None
    cookie: str | None = None

    def values(self) -> tuple[data.Value, ...]:
        """Return the record as Zeek knows it."""
        change = None if self.change is None else CHANGES[self.change]
        moment = data.Timestamp(self.host_time)
        return (self.agent_id, moment, self.query_id, change, self.cookie)

    def first_generation(self, subscription: Subscription) -> tuple[data.Value, ...]:
        """Return what results of the first generation begin with instead."""
        is_initial = subscription is Subscription.SNAPSHOT_PLUS_DIFFERENCES
        whole = data.Enum("ZeekAgent::INITIAL" if is_initial else "ZeekAgent::SNAPSHOT")
        update = whole if self.change is None else UPDATES[self.change]
        return (self.agent_id, update, self.cookie)


@dataclass(frozen=True, slots=True)
class AgentHello:
    """Facts about the agent and its host: the row of the table `zeek_agent`."""

    agent_id: str
    instance_id: str
    hostname: str | None = None
    addresses: tuple[str, ...] | None = None
    platform: str | None = None
    os_name: str | None = None
    kernel_name: str | None = None
    kernel_version: str | None = None
    kernel_arch: str | None = None
    agent_version: int | None = None
    broker: str | None = None
    uptime: timedelta | None = None
    tables: tuple[str, ...] = ()

    def values(self, fields: int) -> tuple[data.Value, ...]:
        """Return the record with 13 *fields*, or with 12: without `broker`."""
        addresses = self.addresses
        valid = None if addresses is None else data.Set(filter(None, map(data.address, addresses)))
        version, uptime = self.agent_version, self.uptime
        return (
            self.agent_id, self.instance_id, self.hostname, valid, self.platform, self.os_name,
            self.kernel_name, self.kernel_version, self.kernel_arch,
            None if version is None else data.Count(version),
            *((self.broker,) if fields == 13 else ()),  # noqa: PLR2004 - the older layout
            None if uptime is None else data.Timespan(uptime // timedelta(microseconds=1) * 1000),
            data.Set(self.tables),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ZeekHello:
    """A Zeek's sign of life, with its versions."""

    instance: str
    version: str
    version_number: int
    package_version: str


@dataclass(frozen=True, slots=True)
class ZeekShutdown:
    """A Zeek says goodbye."""

    instance: str


@dataclass(frozen=True, slots=True)
class InstallQuery:
    """A Zeek asks for the rows of a statement."""

    instance: str
    query_id: str
    sql: str
    interval: timedelta | None
    subscription: Subscription
    event: str
    cookie: str | None
    requires_tables: frozenset[str]
    if_missing_tables: frozenset[str]
    is_first_generation: bool = False
    """Whether each column is an argument of its own, as first agents sent it."""


@dataclass(frozen=True, slots=True)
class CancelQuery:
    """A Zeek does not want a query any more."""

    instance: str
    query_id: str


@dataclass(frozen=True, slots=True)
class JoinGroup:
    """A Zeek with our package makes the agent a member of a group."""

    instance: str
    group: str


@dataclass(frozen=True, slots=True)
class LeaveGroup:
    """A Zeek with our package ends a membership that it began."""

    instance: str
    group: str


FromZeek = ZeekHello | ZeekShutdown | InstallQuery | CancelQuery | JoinGroup | LeaveGroup


def parse(event: Event) -> FromZeek | None:
    """Return the message in *event*; None if its name is not one of ours.

    Raises `MessageError` if the name is ours and the rest is not as it must be.
    """
    parser = _PARSERS.get(event.name)
    if parser is None:
        return None
    arguments = event.arguments
    instance = arguments[0] if arguments else None
    if type(instance) is not str or not _INSTANCE.fullmatch(instance):
        raise MessageError(f"{event.name} does not begin with the id of a Zeek instance")
    reader = _Reader(event.name, instance)
    count, make = parser
    if len(arguments) != count:
        raise reader.error(f"takes {count} arguments, not {len(arguments)}")
    return make(reader, instance, *arguments[1:])


class _Reader:
    """Checks values, and says who got what wrong."""

    def __init__(self, name: str, instance: str) -> None:
        self.name = name
        self.instance = instance
        self.query_id: str | None = None

    def error(self, reason: str) -> MessageError:
        return MessageError(f"{self.name} {reason}", self.instance, self.query_id)

    def value(self, what: str, value: Any, kind: type) -> Any:
        if type(value) is not kind:
            raise self.error(f"has {_described(value)} as {what}; it must be {_NAMES[kind]}")
        return value

    def optional(self, what: str, value: Any, kind: type) -> Any:
        return None if value is None else self.value(what, value, kind)

    def id(self, value: Any) -> str:
        text: str = self.value("query id", value, str)
        if not text or len(text) > MOST_ID_CHARACTERS or not text.isprintable():
            raise self.error(f"needs a query id of 1 to {MOST_ID_CHARACTERS} printable characters")
        self.query_id = text
        return text

    def names(self, what: str, value: Any) -> frozenset[str]:
        elements = self.optional(what, value, data.Set) or ()
        return frozenset(self.value(f"element of {what}", item, str) for item in elements)


_NAMES: dict[type, str] = {
    str: "a string", data.Count: "a count", data.Timespan: "an interval", data.Enum: "an enum",
    data.Set: "a set", tuple: "a record",
}  # fmt: skip


def _described(value: Any) -> str:
    return _NAMES.get(type(value), f"a value of type {type(value).__name__}")


def _hello(read: _Reader, instance: str, record: Any) -> ZeekHello:
    fields = read.value("hello", record, tuple)
    if len(fields) < 3:  # noqa: PLR2004 - version, number, package
        raise read.error(f"has a hello of {len(fields)} fields instead of 3")
    return ZeekHello(
        instance,
        read.value("version_string", fields[0], str),
        read.value("version_number", fields[1], data.Count),
        read.optional("package_version", fields[2], str) or "",
    )


def _install(read: _Reader, instance: str, query_id: Any, record: Any) -> InstallQuery:
    known = read.id(query_id)
    fields = read.value("query", record, tuple)
    if len(fields) < QUERY_FIELDS:
        raise read.error(f"has a query of {len(fields)} fields instead of {QUERY_FIELDS}")
    sql, schedule, subscription, event, cookie, requires, if_missing = fields[:QUERY_FIELDS]
    span = read.optional("schedule_", schedule, data.Timespan)
    if span is not None and span < 0:
        raise read.error("has a negative schedule_")
    return InstallQuery(
        instance,
        known,
        read.value("sql_stmt", sql, str),
        None if span is None else _duration(span),
        _subscription(read, subscription),
        _event_name(read, event),
        read.optional("cookie", cookie, str),
        read.names("requires_tables", requires),
        read.names("if_missing_tables", if_missing),
        type(event) is tuple and event[1:2] == (FIRST_GENERATION,),
    )


def _duration(nanoseconds: int) -> timedelta:
    """Return an interval as timers take it: exact to the microsecond, at most ten years."""
    micros = -(-nanoseconds // 1000)
    return min(timedelta(microseconds=micros), LONGEST_INTERVAL)


def _subscription(read: _Reader, value: Any) -> Subscription:
    name = read.value("subscription", value, data.Enum)
    if name not in SUBSCRIPTIONS:
        known = ", ".join(SUBSCRIPTIONS)
        raise read.error(f"has the unknown subscription {name[:80]}; known are {known}")
    return SUBSCRIPTIONS[name]


def _event_name(read: _Reader, value: Any) -> str:
    """Return the name of the event for the results: Zeek sends a function as a vector."""
    first = value[0] if type(value) is tuple and value else value
    name: str = read.value("event_", first, str)
    if not _EVENT_NAME.fullmatch(name):
        raise read.error(f"has an event_ whose name is not one of Zeek's: {name[:80]!r}")
    return name


def _group(read: _Reader, group: Any) -> str:
    name: str = read.value("group", group, str)
    return name


_PARSERS: dict[str, tuple[int, Callable[..., FromZeek]]] = {
    f"{MODULE}::zeek_hello_v1": (2, _hello),
    f"{MODULE}::zeek_shutdown_v1": (1, lambda _, instance: ZeekShutdown(instance)),
    f"{MODULE}::install_query_v1": (3, _install),
    f"{MODULE}::cancel_query_v1": (2, lambda read, z, query: CancelQuery(z, read.id(query))),
    f"{MODULE}::join_group_v1": (2, lambda read, z, group: JoinGroup(z, _group(read, group))),
    f"{MODULE}::leave_group_v1": (2, lambda read, z, group: LeaveGroup(z, _group(read, group))),
}
