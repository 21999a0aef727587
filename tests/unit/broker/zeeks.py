"""A session with a time of its own, and a Zeek that talks to it."""

from zeek_agent_core.broker import codec, data
from zeek_agent_core.broker.actions import Publish, PublishRows
from zeek_agent_core.broker.messages import AgentHello
from zeek_agent_core.broker.session import Session, SessionOptions
from zeek_agent_core.broker.transport import Event
from zeek_agent_core.query import Result, ResultColumn
from zeek_agent_core.values import Type

AGENT = "Hagent"
HOST = f"/zeek-agent/query/host/{AGENT}"
ALL = "/zeek-agent/query/group/all"
API = "ZeekAgentAPI::"
NEW = codec.peer("abc-websocket-1", "9.0.0-rc1")
OLD = codec.peer("0a1b", "2.7.0")
COLUMN = ResultColumn("n", Type.COUNT)


def query(
    *,
    sql="SELECT 1",
    every=10.0,
    subscription="Differences",
    event="E::result",
    cookie=None,
    requires=(),
    missing=(),
):
    """Return the record of a query as the stock package sends it."""
    schedule = None if every is None else data.Timespan(every * 1e9)
    kind = data.Enum(f"ZeekAgent::{subscription}")
    name = event if isinstance(event, tuple) else (event,)
    return (sql, schedule, kind, name, cookie, data.Set(requires), data.Set(missing))


class Talk:
    """A session that is fed events; everything it ordered is kept."""

    def __init__(self, **options):
        self.now = 1000.0
        self.ids = iter(f"agent_hello_{number}" for number in range(1_000_000))
        settings = {"name": "zeek:9997", "agent_id": AGENT, "platform": "Linux", **options}
        self.session = Session(
            SessionOptions(**settings),
            lambda: AgentHello(AGENT, "Irun", broker="n/a", tables=("users",)),
            wall=lambda: int(self.now * 1e9),
            chance=lambda: 0.5,
            new_hello_id=lambda: next(self.ids),
        )
        self.orders = []

    def did(self, orders):
        self.orders += orders
        return orders

    def connect(self, peer=NEW):
        return self.did(self.session.connected(peer, self.now))

    def lose(self):
        return self.did(self.session.lost(self.now))

    def send(self, name, *arguments, topic=HOST):
        name = name if "::" in name else f"{API}{name}"
        return self.did(self.session.received(Event(topic, name, arguments), self.now))

    def hello(self, zeek="zeek_a", package="v2.4-0", topic=HOST):
        return self.send("zeek_hello_v1", zeek, ("9.0.0", data.Count(90000), package), topic=topic)

    def install(self, zeek="zeek_a", query_id="za_1", topic=ALL, **fields):
        return self.send("install_query_v1", zeek, query_id, query(**fields), topic=topic)

    def cancel(self, zeek="zeek_a", query_id="za_1"):
        return self.send("cancel_query_v1", zeek, query_id)

    def result(self, zeek="zeek_a", query_id="za_1", **parts):
        made = Result((COLUMN,), collected=self.now, **parts)
        return self.did(self.session.result(f"zeek:9997/{zeek}/{query_id}", made))

    def wait(self, seconds):
        """Let time pass, with a tick whenever one is due; return what was ordered."""
        until, orders = self.now + seconds, []
        while (due := self.session.due()) is not None and due <= until:
            self.now = max(due, self.now)
            orders += self.session.tick(self.now)
        self.now = until
        return self.did(orders)


def hellos(orders):
    """Return the arguments of the hellos among *orders*."""
    return [o.arguments for o in of(orders, Publish) if o.event.endswith("agent_hello_v1")]


def errors(orders):
    """Return topic, query id and text of the errors told to Zeek."""
    told = [o for o in of(orders, Publish) if o.event.endswith("agent_error_v1")]
    return [(o.topic, o.arguments[0][2], o.arguments[1]) for o in told]


def of(orders, kind):
    """Return the *orders* of one kind."""
    return [order for order in orders if isinstance(order, kind)]


def sent(orders):
    """Return change and rows of what was sent."""
    return [(order.context.change, list(order.rows)) for order in of(orders, PublishRows)]
