"""Pure: the queries that the Zeeks behind one destination have installed."""

from collections.abc import Callable, Iterable

from zeek_agent_core.broker.actions import Action, Cancel, Install, Log, Slow
from zeek_agent_core.broker.holding import Holding, batches, compile_error
from zeek_agent_core.broker.messages import CancelQuery, InstallQuery
from zeek_agent_core.broker.outbox import Outbox
from zeek_agent_core.broker.replay import Backlog, Budget, ReplayLimits
from zeek_agent_core.errors import QueryError
from zeek_agent_core.query import Query, Result, Subscription

MOST_QUERIES = 5000
FIRST_SLOWNESS, LONGEST_SLOWNESS = 1.0, 60.0


class Queries:
    """Installs, resumes, cancels; sends or keeps what the scheduler delivers."""

    def __init__(
        self, name: str, outbox: Outbox, limits: ReplayLimits, chance: Callable[[], float]
    ) -> None:
        """Begin the ids of queries with *name*, that of the destination."""
        self.held: dict[str, Holding] = {}
        """By id in the scheduler."""
        self._name = name
        self._outbox = outbox
        self._limits = limits
        self._budget = Budget(limits)
        self._chance = chance

    def id_of(self, instance: str, query_id: str) -> str:
        """Return the id that a Zeek's query has in the scheduler."""
        return f"{self._name}/{instance}/{query_id}"

    def install(
        self, message: InstallQuery, group: str | None, now: float, spread: float
    ) -> list[Action]:
        """Take a query on, or up again; its first run may come up to *spread* seconds late."""
        query_id = self.id_of(message.instance, message.query_id)
        held = self.held.get(query_id)
        if held is not None and held.request == message:
            return [] if held.parked_until is None else self._resume(held)
        if held is not None and held.parked_until is None:
            text = f"query id {message.query_id} is in use for another query; cancel that first"
            return self._refuse(message, text)
        orders = self.drop([query_id])
        if len(self.held) >= MOST_QUERIES:
            text = f"this agent has {MOST_QUERIES} queries and takes no more"
            return orders + self._refuse(message, text)
        query = Query(
            query_id,
            message.sql,
            message.interval,
            message.subscription,
            message.requires_tables,
            message.if_missing_tables,
            message.cookie or "",
            f"Zeek {message.instance} at {self._name}",
            is_guarded=True,
        )
        held = self.held[query_id] = Holding(query, message, group, Backlog(self._budget))
        if spread and query.repeats and query.subscription is not Subscription.EVENTS:
            held.due = now + self._chance() * spread
            return orders
        return [*orders, Install(query)]

    def _refuse(self, message: InstallQuery, text: str) -> list[Action]:
        context = self._outbox.context(message.query_id, message.cookie)
        return self._outbox.tell(message.instance, context, text)

    def _resume(self, held: Holding) -> list[Action]:
        """Go on with a query whose Zeek is back."""
        held.parked_until = None
        orders: list[Action] = []
        if held.untold is not None:
            orders += self._outbox.tell_about(held, held.untold)
            held.untold = None
        lost = held.backlog.take_lost()
        if lost:
            text = f"up to {lost} results of this query were lost while Zeek was away"
            orders.append(Log("warning", f"query {held.query.id}: {text}"))
            orders += self._outbox.tell_about(held, text)
            if held.query.subscription is Subscription.SNAPSHOT_PLUS_DIFFERENCES:
                held.backlog.clear()  # a fresh snapshot says more than what is left of the changes
                return [*orders, Cancel(held.query.id), Install(held.query)]
        for batch in held.backlog.unsent():
            orders += self._outbox.rows(held, batch)
        return orders

    def cancel(self, message: CancelQuery) -> list[Action]:
        """End a query, if it is the asker's own."""
        query_id = self.id_of(message.instance, message.query_id)
        if query_id in self.held:
            return self.drop([query_id])
        if any(held.request.query_id == message.query_id for held in self.held.values()):
            context = self._outbox.context(message.query_id)
            text = f"query {message.query_id} is another Zeek's; only that may cancel it"
            return self._outbox.tell(message.instance, context, text)
        return []

    def of(self, instance: str) -> list[str]:
        """Return the ids of the queries of one Zeek."""
        return [key for key, held in self.held.items() if held.request.instance == instance]

    def drop(self, query_ids: Iterable[str]) -> list[Action]:
        """End queries for good."""
        orders: list[Action] = []
        for query_id in query_ids:
            held = self.held.pop(query_id, None)
            if held is not None:
                held.backlog.clear()
                orders += [] if held.due is not None else [Cancel(query_id)]
        return orders

    def park(self, instance: str, now: float) -> list[Action]:
        """Let the queries of a Zeek that is away go on for a while; end those that need not."""
        until = now + self._limits.grace
        ended = []
        for query_id in self.of(instance):
            held = self.held[query_id]
            if not held.is_replayed or held.due is not None:
                ended.append(query_id)
            elif held.parked_until is None:
                held.parked_until = until
        return self.drop(ended)

    def disconnected(self) -> None:
        """Take all that is not confirmed for not sent."""
        for held in self.held.values():
            held.backlog.disconnected()

    def confirmed(self, upto: int) -> None:
        """Forget the rows in the first *upto* events of this connection."""
        for held in self.held.values():
            held.backlog.confirm(upto)

    def leave(self, groups: Iterable[str]) -> list[Action]:
        """End the queries that came to groups other than *groups*."""
        members = {None, *groups}
        return self.drop([key for key, held in self.held.items() if held.group not in members])

    def moments(self) -> list[float | None]:
        """Return when `tick` has something to do."""
        return [moment for held in self.held.values() for moment in (held.due, held.parked_until)]

    def tick(self, now: float) -> list[Action]:
        """Install what was delayed; end what has waited too long for its Zeek."""
        late = [k for k, h in self.held.items() if h.parked_until and now >= h.parked_until]
        orders = self.drop(late)
        for held in self.held.values():
            if held.due is not None and now >= held.due:
                held.due = None
                orders.append(Install(held.query))
        return orders

    def result(self, query_id: str, result: Result) -> list[Action]:
        """Send the rows of one run, or keep them while the Zeek is away."""
        held = self.held.get(query_id)
        if held is None or held.due is not None:
            return []
        held.error = held.untold = None
        orders: list[Action] = []
        for batch in batches(result):
            if held.parked_until is None:
                orders += self._outbox.rows(held, batch)
            if held.is_replayed:
                held.backlog.add(batch)
        if orders:
            held.slowness = held.slowness / 2 if held.slowness > FIRST_SLOWNESS else 0.0
        return orders

    def install_failed(self, query_id: str, error: QueryError) -> list[Action]:
        """Tell Zeek that a statement does not compile."""
        held = self.held.get(query_id)
        return [] if held is None else self._rejected(held, compile_error(held.query.sql, error))

    def refused(self, query_id: str, reason: str) -> list[Action]:
        """Tell Zeek that the policy of this host refuses a query."""
        held = self.held.get(query_id)
        text = f"query refused by the policy of this host ({reason})"
        return [] if held is None else self._rejected(held, text)

    def _rejected(self, held: Holding, text: str) -> list[Action]:
        self.held.pop(held.query.id).backlog.clear()
        log = Log("warning", f"query {held.query.id}: {text}")
        return [log, *self._outbox.tell_about(held, text)]

    def failed(self, query_id: str, error: QueryError) -> list[Action]:
        """Tell Zeek that a run failed, unless it knows; at the latest when it is back."""
        held = self.held.get(query_id)
        if held is None or held.error == str(error):
            return []
        held.error = str(error)
        text = f"query failed ({error})"
        if held.parked_until is not None:
            held.untold = text
        return self._outbox.tell_about(held, text)

    def lost_events(self, query_id: str, text: str) -> list[Action]:
        """Tell Zeek that a table of a query lost events; the query goes on."""
        held = self.held.get(query_id)
        return [] if held is None else self._outbox.tell_about(held, text)

    def done(self, query_id: str, *, is_cancelled: bool) -> None:
        """Forget a query that the scheduler has ended by itself."""
        if not is_cancelled and query_id in self.held:
            self.held.pop(query_id).backlog.clear()

    def slow(self, query_id: str) -> list[Action]:
        """Slow a query down whose rows the server may have refused."""
        held = self.held.get(query_id)
        if held is None:
            return []
        held.slowness = min(max(held.slowness * 2, FIRST_SLOWNESS), LONGEST_SLOWNESS)
        return [Slow(query_id, held.slowness)]
