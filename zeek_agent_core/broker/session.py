"""Pure: one agent's talk with the Zeeks behind one destination.

The session is told what happens, with the time, and answers with orders
(`actions`). It does no I/O and knows neither tasks nor timers: whoever feeds
it calls `tick` when `due` says so. It outlives single connections.
"""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from zeek_agent_core.broker import messages, topics
from zeek_agent_core.broker.actions import Action, Disconnect, Log, Resubscribe
from zeek_agent_core.broker.greeting import Greeting
from zeek_agent_core.broker.groups import Groups
from zeek_agent_core.broker.holding import Holding, Instance
from zeek_agent_core.broker.messages import (
    AgentHello,
    CancelQuery,
    FromZeek,
    InstallQuery,
    JoinGroup,
    LeaveGroup,
    ZeekHello,
    ZeekShutdown,
)
from zeek_agent_core.broker.outbox import Outbox
from zeek_agent_core.broker.queries import Queries
from zeek_agent_core.broker.replay import ReplayLimits
from zeek_agent_core.broker.rules import OLDEST, Rules, offset_shown_by, rules_for
from zeek_agent_core.broker.transport import Event, Peer, Reason
from zeek_agent_core.errors import MessageError, QueryError
from zeek_agent_core.identity import random_text, version_number
from zeek_agent_core.query import Result

OLDEST_PACKAGE = 200_020_008
MOST_INSTANCES = 1024
GATHER = 1.0
"""Seconds in which several changes of groups, or several new Zeeks, are taken together."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Who we are, and how we behave."""

    name: str
    """Of the destination; ids of its queries begin with it."""
    agent_id: str
    platform: str
    groups: tuple[str, ...] = ()
    hello_interval: float = 60.0
    timeout: float = 120.0
    """Seconds of silence after which a Zeek is gone."""
    spread: float = 30.0
    """Seconds over which first snapshots are spread after a reconnect."""
    replay: ReplayLimits = field(default_factory=ReplayLimits)


def _hello_id() -> str:
    return "agent_hello_" + random_text()


class Session:
    """What is known of the Zeeks behind one destination, and of their queries."""

    def __init__(
        self,
        options: SessionOptions,
        facts: Callable[[], AgentHello],
        *,
        wall: Callable[[], int] = time.time_ns,
        chance: Callable[[], float] = random.random,
        new_hello_id: Callable[[], str] = _hello_id,
    ) -> None:
        """Tell *facts* in hellos; *wall* is the time in nanoseconds since the epoch."""
        self.options = options
        self.rules: Rules = OLDEST
        self.instances: dict[str, Instance] = {}
        self.complaints = 0
        self.greeting = Greeting(options.hello_interval, new_hello_id)
        self.groups = Groups(options.groups, options.platform)
        self.outbox = Outbox(options.agent_id, wall)
        self.queries = Queries(options.name, self.outbox, options.replay, chance)
        self._facts = facts
        self._has_been_connected = False
        self._resubscribe_at: float | None = None

    @property
    def held(self) -> dict[str, Holding]:
        """Queries by their id in the scheduler."""
        return self.queries.held

    def topics(self) -> tuple[str, ...]:
        """Return what the next connection is to subscribe to, in order."""
        return topics.subscriptions(self.options.agent_id, self.groups.members())

    def connected(self, peer: Peer, now: float) -> list[Action]:
        """Begin to talk: the server has answered."""
        self.outbox.open()
        self._resubscribe_at = None
        self.rules = rules_for(peer)
        self.greeting.start(now, self.rules.hello_fields)
        return self.tick(now)

    def lost(self, now: float) -> list[Action]:
        """End the talk: queries that can be taken up again wait, all others end."""
        self._has_been_connected = self._has_been_connected or self.outbox.is_open
        self.outbox.is_open = False
        self.greeting.stop()
        orders: list[Action] = []
        for name in list(self.instances):
            orders += self._forget(name, now)
        self.queries.disconnected()
        return orders

    def confirmed(self, upto: int) -> None:
        """Note that the server has the first *upto* events of this connection."""
        self.queries.confirmed(upto)

    def shutdown(self) -> list[Action]:
        """End all queries and say goodbye to everybody."""
        orders = self.queries.drop(list(self.held))
        self.instances.clear()
        orders += self.outbox.tell_all(messages.SHUTDOWN, self.outbox.context().values())
        self.outbox.is_open = False
        self.greeting.stop()
        return orders

    def due(self) -> float | None:
        """Return when `tick` is to be called next."""
        moments = [self.greeting.due, self._resubscribe_at, self.groups.due()]
        moments += self.queries.moments()
        moments += [i.last_seen + self.options.timeout for i in self.instances.values()]
        return min((moment for moment in moments if moment is not None), default=None)

    def tick(self, now: float) -> list[Action]:
        """Do what has fallen due."""
        orders: list[Action] = []
        for instance in list(self.instances.values()):
            if now >= instance.last_seen + self.options.timeout:
                orders.append(Log("warning", f"Zeek {instance.id} is silent and counts as gone"))
                orders += self._forget(instance.id, now)
                self.greeting.renew(now)  # Zeek sends its queries again when it sees a new id
        orders += self.queries.tick(now)
        if self.groups.expire(now):
            orders += self.queries.leave(self.groups.members())
        if self._resubscribe_at is not None and now >= self._resubscribe_at:
            self._resubscribe_at = None
            orders.append(Resubscribe(self.topics()))
        if self.greeting.is_ignored(now):
            self.greeting.stop()
            text = "no Zeek answers on this connection; is its agent package loaded?"
            return [*orders, Disconnect(Reason.SILENT, text)]
        if self.greeting.is_due(now):
            orders += self._hello(now)
        return orders

    def _hello(self, now: float) -> list[Action]:
        self.greeting.said(now)
        context = self.outbox.context(self.greeting.query_id).values()
        facts = self._facts().values(self.greeting.fields)
        return self.outbox.tell_all(messages.HELLO, context, facts)

    def _forget(self, name: str, now: float) -> list[Action]:
        """Let an instance go that may come back."""
        del self.instances[name]
        self.groups.parked(name, now + self.options.replay.grace)
        return self.queries.park(name, now)

    def received(self, event: Event, now: float) -> list[Action]:
        """Do what an event asks for; events that are not ours change nothing."""
        if not self.outbox.is_open or event.topic.removesuffix("/") not in self.topics():
            return []
        self._learn_offset(event)
        try:
            message = messages.parse(event)
        except MessageError as error:
            return self._misunderstood(error, now)
        if message is None:
            return []
        self.greeting.answered(now)
        self.groups.seen(message.instance)
        instance = self.instances.get(message.instance)
        if instance is not None:
            instance.last_seen = now
            if instance.is_disabled:
                return []
        return self._obey(message, topics.group_of(event.topic, self.options.agent_id), now)

    def _obey(self, message: FromZeek, group: str | None, now: float) -> list[Action]:
        if isinstance(message, ZeekShutdown):
            return self._ended(message.instance)
        if isinstance(message, CancelQuery):
            return self.queries.cancel(message)
        if isinstance(message, LeaveGroup):
            has_left = self.groups.leave(message.group, message.instance)
            return self.queries.leave(self.groups.members()) if has_left else []
        if not self._is_admitted(message.instance, now):
            return [Log("warning", f"more than {MOST_INSTANCES} Zeeks; {message.instance} ignored")]
        if isinstance(message, InstallQuery):
            spread = self.options.spread if self._has_been_connected else 0.0
            return self.queries.install(message, group, now, spread)
        return (
            self._join(message, now) if isinstance(message, JoinGroup) else self._greeted(message)
        )

    def _is_admitted(self, name: str, now: float) -> bool:
        """Know an instance from now on, if there is room for it."""
        if name in self.instances:
            return True
        if len(self.instances) >= MOST_INSTANCES:
            return False
        if self.instances:
            self.greeting.hasten(now + GATHER)  # it may not have heard the last hello
        self.instances[name] = Instance(name, now)
        return True

    def _misunderstood(self, error: MessageError, now: float) -> list[Action]:
        orders: list[Action] = [Log("warning", f"Zeek sent something wrong: {error}")]
        instance = self.instances.get(error.instance or "")
        if instance is not None:
            instance.last_seen = now
        if error.instance is None or (instance is not None and instance.is_disabled):
            return orders
        context = self.outbox.context(error.query_id)
        return orders + self.outbox.tell(error.instance, context, str(error))

    def _greeted(self, message: ZeekHello) -> list[Action]:
        """Refuse a Zeek whose package is too old; one of unknown version is fine."""
        try:
            number = version_number(message.package_version)
        except ValueError:
            return []
        if number >= OLDEST_PACKAGE:
            return []
        name = message.instance
        self.instances[name].is_disabled = True
        text = (
            "Zeek package version too old, disabling communication "
            f"(want {OLDEST_PACKAGE}, but have {number})"
        )
        orders: list[Action] = [Log("warning", f"Zeek {name}: {text}")]
        orders += self.queries.drop(self.queries.of(name))
        return orders + self.outbox.tell(name, self.outbox.context(), text)

    def _ended(self, name: str) -> list[Action]:
        self.instances.pop(name, None)
        orders = self.queries.drop(self.queries.of(name))
        return orders + (self.queries.leave(self.groups.members()) if self.groups.forget(name)
                         else [])  # fmt: skip

    def _join(self, message: JoinGroup, now: float) -> list[Action]:
        before = self.topics()
        if not self.groups.join(message.group, message.instance):
            text = f"this agent cannot join the group {message.group[:80]!r}"
            return self.outbox.tell(message.instance, self.outbox.context(), text)
        added = set(self.topics()) - set(before)
        if not added:
            return []
        if all(topic.startswith(before) for topic in added):
            self.greeting.renew(now)  # so that Zeek sends the queries of the group
        else:
            self._resubscribe_at = now + GATHER
        return [Log("info", f"Zeek {message.instance} adds this host to group {message.group}")]

    def _learn_offset(self, event: Event) -> None:
        """Find out the time zone of an older Zeek, which means its local time."""
        if event.sent is not None and not self.rules.unicode_escapes:
            offset = offset_shown_by(event.sent, self.outbox.wall())
            if offset is not None:
                self.rules = self.rules.with_offset(offset)

    def complained(self, text: str, now: float) -> list[Action]:
        """React to a server that refuses something: with the other hello, or fewer results."""
        if self.greeting.refused(text, now):
            log = Log("info", "Zeek does not take this hello; trying the other layout")
            return [log, *self.tick(now)]
        self.complaints += 1
        last = self.outbox.last_query
        orders = [] if last is None else self.queries.slow(last)
        if re.fullmatch("10*", str(self.complaints)):
            after = f", last after results of query {last}" if last else ""
            times = f"{self.complaints} time{'s' if self.complaints > 1 else ''}"
            orders.append(Log("warning", f"Zeek's server complained {times}{after}: {text}"))
        return orders

    def result(self, query_id: str, result: Result) -> list[Action]:
        """Send the rows of one run of a query, or keep them while its Zeek is away."""
        return self.queries.result(query_id, result)

    def install_failed(self, query_id: str, error: QueryError) -> list[Action]:
        """Tell Zeek that a query cannot be installed."""
        return self.queries.install_failed(query_id, error)

    def refused(self, query_id: str, reason: str) -> list[Action]:
        """Tell Zeek that the policy of this host refuses a query."""
        return self.queries.refused(query_id, reason)

    def failed(self, query_id: str, error: QueryError) -> list[Action]:
        """Tell Zeek that a run of a query failed, once per change of state."""
        return self.queries.failed(query_id, error)

    def lost_events(self, query_id: str, text: str) -> list[Action]:
        """Tell Zeek that a table of a query lost events."""
        return self.queries.lost_events(query_id, text)

    def done(self, query_id: str, *, is_cancelled: bool) -> None:
        """Forget a query that the scheduler has ended by itself."""
        self.queries.done(query_id, is_cancelled=is_cancelled)
