"""Whatever happens in whatever order, a session keeps its promises."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.broker.zeeks import ALL, HOST, NEW, OLD, Talk, hellos
from zeek_agent_core.broker import codec, data
from zeek_agent_core.broker.actions import Cancel, Install, Publish, PublishRows
from zeek_agent_core.errors import LimitError

ZEEKS = st.sampled_from(["zeek_a", "zeek_b", "zeek_c"])
IDS = st.sampled_from(["za_1", "za_2"])
KINDS = st.sampled_from(["Events", "Differences", "Snapshots", "SnapshotPlusDifferences", "Bad"])
JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.text(max_size=3),
        st.integers(),
        st.integers(0, 9).map(data.Count),
        st.just(data.Enum("ZeekAgent::Events")),
        st.just("zeek_a"),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=7).map(tuple), st.just(data.Set())),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["zeek_hello_v1", "zeek_shutdown_v1", "install_query_v1", "cancel_query_v1",
     "join_group_v1", "leave_group_v1", "Other::event"]
)  # fmt: skip
INSTALLS = st.tuples(st.just("install"), ZEEKS, IDS, KINDS, st.sampled_from([ALL, HOST]))
STEPS = st.one_of(
    INSTALLS,
    INSTALLS,
    INSTALLS,
    st.tuples(st.just("connect"), st.sampled_from([NEW, OLD])),
    st.tuples(st.just("lose")),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 20.0, 130.0, 301.0])),
    st.tuples(st.just("hello"), ZEEKS, st.sampled_from(["", "v2.4-0", "2.0.1"])),
    st.tuples(st.just("cancel"), ZEEKS, IDS),
    st.tuples(st.just("goodbye"), ZEEKS),
    st.tuples(st.just("result"), ZEEKS, IDS),
    st.tuples(st.just("failed"), ZEEKS, IDS),
    st.tuples(st.just("rejected"), ZEEKS, IDS),
    st.tuples(st.just("done"), ZEEKS, IDS),
    st.tuples(st.just("complaint")),
    st.tuples(st.just("confirm")),
    st.tuples(st.just("join"), ZEEKS, st.sampled_from(["geo", "geo/de", ""])),
    st.tuples(st.just("leave"), ZEEKS, st.sampled_from(["geo", "geo/de"])),
    st.tuples(st.just("junk"), NAMES, st.lists(JUNK, max_size=4)),
)


class Checked(Talk):
    """Plays the scheduler, and checks every order as it comes."""

    def __init__(self):
        super().__init__()
        self.scheduled = set()
        self.is_up = False
        self.hello_ids = []

    def did(self, orders):
        frames = codec.Frames(self.session.rules)
        for order in orders:
            if isinstance(order, Install):
                assert order.query.id not in self.scheduled
                self.scheduled.add(order.query.id)
            elif isinstance(order, Cancel):
                assert order.query_id in self.scheduled
                self.scheduled.discard(order.query_id)
            elif isinstance(order, Publish | PublishRows):
                assert self.is_up
            if isinstance(order, PublishRows):
                held = self.session.held[order.query_id]
                instance = self.session.instances.get(held.request.instance)
                assert instance is not None
                assert not instance.is_disabled
                assert held.parked_until is None
                assert order.topic.split("/")[3] == held.request.instance
                assert len(frames.of(order)) == len(order.rows)
            if isinstance(order, Publish):
                codec.decode_frame(codec.encode_event(order.topic, order.event, order.arguments))
        self.orders += orders
        return orders

    def step(self, name, *values):
        getattr(self, f"do_{name}", self.do_nothing)(*values)
        key = f"zeek:9997/{'/'.join(map(str, values[:2]))}"
        if key in self.scheduled:
            self.scheduler_says(name, key, *values)

    def do_nothing(self, *values):
        """Leave it to the scheduler."""

    def do_connect(self, peer):
        if not self.is_up:
            self.is_up = True
            [arguments] = hellos(self.connect(peer))
            assert arguments[0][2] not in self.hello_ids
            self.hello_ids.append(arguments[0][2])

    def do_lose(self):
        if self.is_up:
            orders = self.session.lost(self.now)
            self.is_up = False
            self.did(orders)

    def do_wait(self, seconds):
        self.wait(seconds)

    def do_hello(self, zeek, package):
        self.hello(zeek, package)

    def do_install(self, zeek, query_id, subscription, topic):
        self.install(zeek, query_id, topic=topic, subscription=subscription)

    def do_cancel(self, zeek, query_id):
        self.cancel(zeek, query_id)

    def do_goodbye(self, zeek):
        self.send("zeek_shutdown_v1", zeek)

    def do_join(self, zeek, group):
        self.send("join_group_v1", zeek, group)

    def do_leave(self, zeek, group):
        self.send("leave_group_v1", zeek, group)

    def do_junk(self, name, arguments):
        self.send(name, *arguments)

    def do_complaint(self):
        self.did(self.session.complained("failed to create Zeek event", self.now))

    def do_confirm(self):
        self.session.confirmed(self.session.outbox.published)

    def scheduler_says(self, name, key, *values):
        session = self.session
        if name == "result":
            self.result(*values, added=[(1,), (2,)])
        elif name == "failed":
            self.did(session.failed(key, LimitError("too much")))
        elif name == "rejected":
            self.scheduled.discard(key)
            self.did(session.install_failed(key, LimitError("too much")))
        elif name == "done":
            self.scheduled.discard(key)
            session.done(key, is_cancelled=False)

    def check(self):
        session = self.session
        waiting = {key for key, held in session.held.items() if held.due is not None}
        assert self.scheduled == set(session.held) - waiting
        disabled = {i.id for i in session.instances.values() if i.is_disabled}
        for held in session.held.values():
            assert held.request.instance not in disabled
            if held.parked_until is None:
                assert held.request.instance in session.instances
        assert session.due() is None or session.due() > self.now - 1e-6
        assert self.is_up or not session.instances


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, min_size=20, max_size=60))
def test_promises_hold(steps):
    """No query without its Zeek, none twice, results to the asker only, a hello per connection."""
    talk = Checked()
    for step in [("connect", NEW), *steps]:
        talk.step(*step)
        talk.check()
    talk.did(talk.session.shutdown())
    assert talk.scheduled == set()
