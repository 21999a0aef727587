"""What a session wants done: frozen orders, to be carried out in their order."""

from collections.abc import Sequence
from dataclasses import dataclass

from zeek_agent_core.broker import data
from zeek_agent_core.broker.messages import Context
from zeek_agent_core.broker.transport import Reason
from zeek_agent_core.query import Query, ResultColumn, ResultRow, Subscription


@dataclass(frozen=True, slots=True)
class Publish:
    """Send one event."""

    topic: str
    event: str
    arguments: tuple[data.Value, ...]


@dataclass(frozen=True, slots=True)
class PublishRows:
    """Send one event for each row, all with one context."""

    query_id: str
    """Id of the query in the scheduler."""
    topic: str
    event: str
    context: Context
    columns: tuple[ResultColumn, ...]
    rows: Sequence[ResultRow]
    subscription: Subscription | None = None
    """Given for results in the form of the first generation."""

    @property
    def is_spread(self) -> bool:
        """Whether each column is an argument of its own."""
        return self.subscription is not None

    def head(self) -> tuple[data.Value, ...]:
        """Return the record that the events begin with."""
        if self.subscription is None:
            return self.context.values()
        return self.context.first_generation(self.subscription)


@dataclass(frozen=True, slots=True)
class Install:
    """Hand a query to the scheduler; tell `Session.install_failed` if it refuses."""

    query: Query


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take a query from the scheduler."""

    query_id: str


@dataclass(frozen=True, slots=True)
class Slow:
    """Wait so many seconds before the next result of a query is taken."""

    query_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line to the agent's log."""

    level: str
    """`debug`, `info`, `warning` or `error`."""
    text: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the connection and make a new one, after the pause that *reason* asks for."""

    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class Resubscribe:
    """End the connection and make a new one at once, with other topics.

    A WebSocket connection's subscriptions cannot change.
    """

    topics: tuple[str, ...]


Action = Publish | PublishRows | Install | Cancel | Slow | Log | Disconnect | Resubscribe
