"""Nothing is lost in silence: what is not confirmed is sent again, or counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.broker.zeeks import NEW, Talk, errors, of, sent
from zeek_agent_core.broker.actions import Cancel, Install
from zeek_agent_core.broker.replay import Backlog, Batch, Budget, ReplayLimits
from zeek_agent_core.errors import LimitError
from zeek_agent_core.query import Change

ADD, DELETE = Change.ADD, Change.DELETE
KEY = "zeek:9997/zeek_a/za_1"


def watching(subscription="Events", **options):
    """Return a session with one installed query."""
    talk = Talk(**options)
    talk.connect()
    talk.hello()
    talk.install(subscription=subscription)
    return talk


def came_back(talk, subscription="Events"):
    """Reconnect, let the same Zeek install its query again; return what that ordered."""
    talk.connect(NEW)
    talk.hello()
    return talk.install(subscription=subscription)


def test_events_while_zeek_is_away_arrive_once():
    """A cut during which events happen delivers them all, in order, when Zeek is back."""
    talk = watching()
    talk.result(added=[(0,)])
    talk.session.confirmed(talk.session.outbox.published)
    assert of(talk.lose(), Cancel) == []
    for number in range(1, 101):
        talk.wait(0.3)
        assert talk.result(added=[(number,)]) == []
    orders = came_back(talk)
    assert of(orders, Install) == []
    assert [row for _, rows in sent(orders) for row in rows] == [(n,) for n in range(1, 101)]
    assert sent(talk.result(added=[(101,)])) == [(ADD, [(101,)])]


def test_what_was_not_confirmed_is_sent_again():
    """Rows behind the last confirmed event go out twice rather than not at all."""
    talk = watching()
    before = talk.session.outbox.published
    talk.result(added=[(1,), (2,), (3,)])
    talk.session.confirmed(before + 2)
    talk.lose()
    assert sent(came_back(talk)) == [(ADD, [(3,)])]


def test_replayed_rows_keep_their_time():
    """The context says when the event was collected, not when it was sent again."""
    talk = watching()
    talk.lose()
    collected = talk.now
    talk.result(added=[(1,)])
    talk.wait(20.0)
    [order] = came_back(talk)
    assert order.context.host_time == int(collected * 1e9)


def test_differences_go_on_without_a_storm():
    """After a cut only what changed meanwhile is sent: no snapshot, no mass of deletes."""
    talk = watching("SnapshotPlusDifferences")
    talk.result(rows=[(n,) for n in range(50)])
    talk.session.confirmed(talk.session.outbox.published)
    talk.lose()
    talk.result(deleted=[(1,)], added=[(99,)])
    orders = came_back(talk, "SnapshotPlusDifferences")
    assert sent(orders) == [(DELETE, [(1,)]), (ADD, [(99,)])]


def test_snapshots_start_anew():
    """A snapshot repairs itself, so its query ends with the connection."""
    talk = watching("Snapshots")
    assert talk.lose() == [Cancel(KEY)]


def test_other_zeek_gets_a_fresh_start():
    """A restarted Zeek has another instance id: it gets its queries from the beginning."""
    talk = watching(spread=0.0)
    talk.lose()
    talk.result(added=[(1,)])
    talk.connect()
    talk.hello(zeek="zeek_b")
    orders = talk.install(zeek="zeek_b", subscription="Events")
    assert len(of(orders, Install)) == 1
    assert sent(orders) == []


def test_other_statement_gets_a_fresh_start():
    """The same id with another statement does not go on where the old one was."""
    talk = watching()
    talk.lose()
    talk.result(added=[(1,)])
    talk.connect()
    orders = talk.install(subscription="Events", sql="SELECT 2")
    assert of(orders, Cancel) == [Cancel(KEY)]
    assert len(of(orders, Install)) == 1
    assert sent(orders) == []


def test_grace_ends():
    """A Zeek that stays away for too long loses its queries."""
    talk = watching()
    talk.lose()
    assert talk.wait(299.0) == []
    assert talk.wait(2.0) == [Cancel(KEY)]
    assert talk.session.held == {}


def test_zeek_that_comes_back_without_its_query_stops_it():
    """What is not installed again ends with the grace time, though the connection is up."""
    talk = watching()
    talk.lose()
    talk.connect()
    talk.hello()
    assert talk.result(added=[(1,)]) == []
    orders = []
    for _ in range(6):
        orders += talk.wait(55.0)
        talk.hello()
    assert Cancel(KEY) in orders


def test_losses_are_told():
    """What did not fit is counted, and Zeek hears the number with the query's id."""
    talk = watching(replay=ReplayLimits(rows=10))
    talk.lose()
    talk.result(added=[(n,) for n in range(7)])
    talk.result(added=[(n,) for n in range(7, 14)])
    orders = came_back(talk)
    [(_, query_id, text)] = errors(orders)
    assert query_id == "za_1"
    assert text == "up to 4 results of this query were lost while Zeek was away"
    assert [row for _, rows in sent(orders) for row in rows] == [(n,) for n in range(4, 14)]
    assert errors(talk.install(query_id="za_2")) == []


def test_snapshot_that_lost_changes_starts_anew():
    """With gaps in its changes a snapshot query is worth more from the beginning."""
    talk = watching("SnapshotPlusDifferences", replay=ReplayLimits(rows=10))
    talk.lose()
    talk.result(added=[(n,) for n in range(11)])
    orders = came_back(talk, "SnapshotPlusDifferences")
    assert [type(order) for order in orders[-2:]] == [Cancel, Install]
    assert sent(orders) == []
    talk.session.done(KEY, is_cancelled=True)
    assert KEY in talk.session.held


def test_error_while_away_is_told_on_return():
    """A failure that nobody could hear of is not forgotten, unless it is over."""
    talk = watching()
    talk.lose()
    assert talk.session.failed(KEY, LimitError("too much")) == []
    assert [text for *_, text in errors(came_back(talk))] == ["query failed (too much)"]


def batch(count, start=0):
    """Return a batch of *count* rows."""
    return Batch(ADD, (), [(n,) for n in range(start, start + count)], 0)


def test_sent_rows_that_gave_way_are_lost_only_if_unconfirmed():
    """Rows that did not fit are at risk until their barrier is answered."""
    backlog = Backlog(Budget(ReplayLimits(rows=5)))
    for end in (5, 10):
        made = batch(5)
        made.last = end
        backlog.add(made)
    backlog.confirm(5)
    backlog.disconnected()
    assert backlog.take_lost() == 0
    other = Backlog(Budget(ReplayLimits(rows=5)))
    for end in (5, 10):
        made = batch(5)
        made.last = end
        other.add(made)
    other.disconnected()
    assert other.take_lost() == 5


@pytest.mark.parametrize("size", [1, 1000])
def test_memory_is_bounded_for_all_queries_together(size):
    """Backlogs share a total, and none grows past its own bound."""
    limits = ReplayLimits(rows=10**6, query_bytes=200_000, total_bytes=500_000)
    budget = Budget(limits)
    backlogs = [Backlog(budget) for _ in range(5)]
    for _ in range(300):
        for backlog in backlogs:
            backlog.add(Batch(ADD, (), [("x" * size,)] * 10, 0))
            assert backlog.bytes <= limits.query_bytes
            assert budget.used <= limits.total_bytes
    assert budget.used == sum(backlog.bytes for backlog in backlogs)
    for backlog in backlogs:
        backlog.clear()
    assert budget.used == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("rows"), st.integers(1, 8)),
        st.tuples(st.just("confirm"), st.floats(0, 1)),
        st.tuples(st.just("cut"), st.integers(0, 2)),
    ),
    max_size=40,
)


@given(STEPS, st.sampled_from([5, 1000]))
def test_rows_arrive_or_are_counted(steps, room):
    """Whatever is cut or confirmed when, a row arrives, waits, or counts as lost."""
    talk = watching(replay=ReplayLimits(rows=room, grace=10**9), timeout=10**9)
    arrived, on_wire, produced, lost = set(), [], 0, 0
    confirmed = talk.session.outbox.published

    def deliver(orders):
        nonlocal lost
        on_wire.extend(row for _, rows in sent(orders) for row in rows)
        lost += sum(int(text.split()[2]) for *_, text in errors(orders) if "lost" in text)

    base = talk.session.outbox.published
    for step, value in steps:
        if step == "rows":
            rows = [(n,) for n in range(produced, produced + value)]
            produced += value
            deliver(talk.result(added=rows))
        elif step == "confirm":
            count = int(len(on_wire) * value)
            confirmed = max(confirmed, base + count)
            talk.session.confirmed(confirmed)
            arrived |= set(on_wire[: confirmed - base])
        else:
            talk.lose()
            on_wire.clear()
            rows = [(n,) for n in range(produced, produced + value)]
            produced += value
            talk.result(added=rows)
            talk.connect()
            talk.hello()
            orders = came_back_orders = talk.install(subscription="Events")
            told = len(errors(came_back_orders))
            base = talk.session.outbox.published - sum(len(rows) for _, rows in sent(orders))
            confirmed = base
            assert told <= 1
            deliver(orders)
    talk.session.confirmed(talk.session.outbox.published)
    arrived |= set(on_wire)
    assert produced - len(arrived) <= lost
    assert talk.session.held[KEY].backlog.rows == 0
