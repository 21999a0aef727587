"""Pure: makes the orders that send something, and counts the events."""

from collections.abc import Callable

from zeek_agent_core.broker import data, messages, topics
from zeek_agent_core.broker.actions import Action, Publish, PublishRows
from zeek_agent_core.broker.holding import Holding
from zeek_agent_core.broker.messages import Context
from zeek_agent_core.broker.replay import Batch


class Outbox:
    """What leaves the agent on one connection; nothing does while there is none."""

    def __init__(self, agent_id: str, wall: Callable[[], int]) -> None:
        """Send as *agent_id*; *wall* is the time in nanoseconds since the epoch."""
        self.agent_id = agent_id
        self.published = 0
        """Events handed to the transport on this connection."""
        self.last_query: str | None = None
        """Whose rows were sent last."""
        self.is_open = False
        self.wall = wall

    def open(self) -> None:
        """Begin a connection."""
        self.is_open = True
        self.published = 0
        self.last_query = None

    def context(self, query_id: str | None = None, cookie: str | None = None) -> Context:
        """Return what an event that happens now begins with."""
        return Context(self.agent_id, self.wall(), query_id, cookie=cookie)

    def rows(self, held: Holding, batch: Batch) -> list[Action]:
        """Send *batch*, and note the number of its last event in it."""
        if not self.is_open:
            return []
        self.published += len(batch.rows)
        batch.last = self.published
        self.last_query = held.query.id
        request = held.request
        context = Context(
            self.agent_id, batch.collected, request.query_id, batch.change, request.cookie
        )
        topic = topics.to_one(request.instance, self.agent_id)
        form = request.subscription if request.is_first_generation else None
        rows, columns = batch.rows, batch.columns
        return [PublishRows(held.query.id, topic, request.event, context, columns, rows, form)]

    def tell(self, instance: str, context: Context, text: str) -> list[Action]:
        """Tell one Zeek of an error."""
        topic = topics.to_one(instance, self.agent_id)
        return self._event(topic, messages.ERROR, (context.values(), text))

    def tell_about(self, held: Holding, text: str) -> list[Action]:
        """Tell the Zeek that asked for a query of an error in it, unless it is away."""
        if held.parked_until is not None:
            return []
        request = held.request
        context = self.context(request.query_id, request.cookie)
        return self.tell(request.instance, context, text)

    def tell_all(self, event: str, *arguments: data.Value) -> list[Action]:
        """Send an event to every Zeek."""
        return self._event(topics.to_all(self.agent_id), event, arguments)

    def _event(self, topic: str, event: str, arguments: tuple[data.Value, ...]) -> list[Action]:
        if not self.is_open:
            return []
        self.published += 1
        return [Publish(topic, event, arguments)]
