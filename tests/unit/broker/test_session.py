"""The session says hello, takes queries, and delivers."""

import pytest

from tests.unit.broker.zeeks import (
    AGENT,
    ALL,
    HOST,
    NEW,
    OLD,
    Talk,
    errors,
    hellos,
    of,
    query,
    sent,
)
from zeek_agent_core.broker import codec, data
from zeek_agent_core.broker.actions import (
    Cancel,
    Disconnect,
    Install,
    Log,
    Publish,
    PublishRows,
    Resubscribe,
    Slow,
)
from zeek_agent_core.broker.transport import Event
from zeek_agent_core.errors import LimitError, StatementError
from zeek_agent_core.query import Change, Subscription

ADD, DELETE = Change.ADD, Change.DELETE


def joined(**options):
    """Return a session that a Zeek has greeted."""
    talk = Talk(**options)
    talk.connect()
    talk.hello()
    return talk


def test_topics_stand_in_the_order_of_the_stock_agent():
    """Host first, then for each group its own and the agent's topic; then all and the platform."""
    assert Talk(groups=("Web", "geo/DE")).session.topics() == (
        "/zeek-agent/query/host/Hagent",
        "/zeek-agent/query/group/web",
        "/zeek-agent/query/group/Hagent/web",
        "/zeek-agent/query/group/geo/de",
        "/zeek-agent/query/group/Hagent/geo/de",
        "/zeek-agent/query/group/geo",
        "/zeek-agent/query/group/Hagent/geo",
        "/zeek-agent/query/group/all",
        "/zeek-agent/query/group/Hagent/all",
        "/zeek-agent/query/group/linux",
        "/zeek-agent/query/group/Hagent/linux",
    )


@pytest.mark.parametrize(("peer", "fields"), [(NEW, 12), (OLD, 13)])
def test_hello_has_the_layout_of_the_server(peer, fields):
    """Zeek 8.2 and newer get 12 fields, older ones 13, on the topic for all."""
    orders = Talk().connect(peer)
    assert [(o.topic, len(o.arguments[1])) for o in of(orders, Publish)] == [
        (f"/zeek-agent/response/all/{AGENT}", fields)
    ]


def test_hello_is_repeated_until_answered():
    """Pauses double up to the interval while no Zeek is heard, and each has the same id."""
    talk = Talk()
    talk.connect()
    begin, times = talk.now, []
    for _ in range(240):
        times += [talk.now - begin for _ in hellos(talk.wait(1.0))]
    assert times[:7] == [1, 3, 7, 15, 31, 63, 123]
    assert {arguments[0][2] for arguments in hellos(talk.orders)} == {"agent_hello_0"}


def test_answered_hello_is_repeated_at_the_interval():
    """Once a Zeek is heard, hellos come every interval."""
    talk = joined()
    assert hellos(talk.wait(59.0)) == []
    assert len(hellos(talk.wait(1.0))) == 1


def test_every_connection_has_its_own_hello_id():
    """Zeek takes a changed id for a reconnect, and sends its queries again."""
    talk = joined()
    talk.lose()
    talk.connect()
    ids = [arguments[0][2] for arguments in hellos(talk.orders)]
    assert ids == ["agent_hello_0", "agent_hello_1"]


def test_refused_hello_is_tried_in_the_other_layout_once():
    """A complaint about the first event swaps the layout; a second one is only logged."""
    talk = Talk()
    talk.connect(codec.peer("x-websocket-1", "8.0.1"))
    text = "deserialization_failed (failed to create Zeek event)"
    again = talk.session.complained(text, talk.now)
    assert [len(arguments[1]) for arguments in hellos(again)] == [12]
    assert hellos(talk.session.complained(text, talk.now)) == []


def test_connection_without_zeek_is_given_up():
    """After minutes without any answer the session asks for a new connection."""
    talk = Talk()
    talk.connect()
    assert of(talk.wait(299.0), Disconnect) == []
    assert len(of(talk.wait(2.0), Disconnect)) == 1
    assert talk.wait(1000.0) == []


def test_foreign_events_change_nothing():
    """Events of other names or on other topics neither answer a hello nor make an instance."""
    talk = Talk(groups=("web",))
    talk.connect()
    talk.send("Other::event", "zeek_a")
    talk.hello(topic="/zeek-agent/query/group/web2")
    talk.hello(topic="/zeek-agent/query/host/Hagent2")
    assert talk.session.instances == {}
    assert not talk.session.greeting.is_answered


def test_topic_with_a_closing_separator_is_ours():
    """A package may end topics with a separator, so that prefixes do not overmatch."""
    talk = Talk()
    talk.connect()
    talk.hello(topic=HOST + "/")
    assert list(talk.session.instances) == ["zeek_a"]


def test_query_is_installed_with_what_zeek_asked_for():
    """All fields arrive at the scheduler, under an id of this destination and instance."""
    talk = joined()
    orders = talk.install(
        sql="SELECT agent_version FROM zeek_agent",
        every=0.5,
        subscription="SnapshotPlusDifferences",
        cookie="Hurz",
        requires=("bar",),
        missing=("foo",),
    )
    [order] = of(orders, Install)
    assert order.query.id == "zeek:9997/zeek_a/za_1"
    assert order.query.interval.total_seconds() == 0.5
    assert order.query.subscription is Subscription.SNAPSHOT_PLUS_DIFFERENCES
    assert (order.query.requires_tables, order.query.if_missing_tables) == ({"bar"}, {"foo"})
    assert order.query.asker == "Zeek zeek_a at zeek:9997"


def test_result_comes_with_context_and_cookie():
    """Upstream's zeek/query: one result, its cookie in the context, to the asking Zeek only."""
    talk = joined()
    talk.install(every=None, cookie="Hurz")
    [order] = talk.result(rows=[(200_000_000,)])
    assert order.topic == f"/zeek-agent/response/zeek_a/{AGENT}"
    assert order.event == "E::result"
    moment = data.Timestamp(talk.now * 1e9)
    assert order.context.values() == (AGENT, moment, "za_1", None, "Hurz")
    [frame] = codec.Frames(talk.session.rules).of(order)
    [_, columns] = codec.decode_frame(frame).arguments
    assert columns == (200_000_000,)
    assert type(columns[0]) is data.Count


def test_rows_that_are_gone_go_before_new_ones():
    """The order of a difference is kept: deletes, then adds."""
    talk = joined()
    talk.install()
    assert sent(talk.result(deleted=[(1,)], added=[(2,)])) == [(DELETE, [(1,)]), (ADD, [(2,)])]


def test_run_without_rows_sends_nothing():
    """Towards Zeek an empty result means no event."""
    talk = joined()
    talk.install()
    assert talk.result() == []


def test_cancelled_query_sends_nothing_more():
    """Upstream's zeek/scheduled: exactly the results before the cancellation."""
    talk = joined()
    talk.install(every=3.0, subscription="Snapshots")
    talk.result(rows=[(1,)])
    talk.result(rows=[(1,)])
    assert talk.cancel() == [Cancel("zeek:9997/zeek_a/za_1")]
    assert talk.result(rows=[(1,)]) == []
    assert len(sent(talk.orders)) == 2


def test_statement_that_does_not_compile_is_told():
    """Upstream's zeek/error: the text of the C++ agent, with the query's id and cookie."""
    talk = joined()
    talk.install(sql="SELECT foo FROM bar", cookie="c")
    error = StatementError("no such table: bar in: SELECT foo FROM bar")
    orders = talk.session.install_failed("zeek:9997/zeek_a/za_1", error)
    text = (
        "could not compile query (failed to compile SQL statement: "
        "SELECT foo FROM bar (no such table: bar))"
    )
    assert errors(orders) == [(f"/zeek-agent/response/zeek_a/{AGENT}", "za_1", text)]
    assert of(orders, Publish)[0].arguments[0][4] == "c"
    assert talk.session.held == {}


def test_failure_is_told_once_per_change_of_state():
    """The same error twice is one event; after a good run it is news again."""
    talk = joined()
    talk.install()
    key = "zeek:9997/zeek_a/za_1"
    failed = talk.session.failed
    assert len(errors(failed(key, LimitError("too many rows")))) == 1
    assert failed(key, LimitError("too many rows")) == []
    talk.result()
    assert len(errors(failed(key, LimitError("too many rows")))) == 1


def test_policy_refusal_is_told_with_its_reason():
    """Zeek learns why this host does not answer a query."""
    talk = joined()
    talk.install()
    [(_, query_id, text)] = errors(talk.session.refused("zeek:9997/zeek_a/za_1", "table users"))
    assert query_id == "za_1"
    assert text == "query refused by the policy of this host (table users)"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("za_1",), "takes 3 arguments"),
        (("za_1", "x"), "must be a record"),
        (("za_1", query()[:6]), "6 fields instead of 7"),
        ((7, query()), "as query id"),
        (("", query()), "needs a query id"),
        (("za_1", (1, *query()[1:])), "as sql_stmt"),
        (("za_1", (*query()[:2], data.Enum("ZeekAgent::Often"), *query()[3:])), "unknown subscr"),
        (("za_1", (*query()[:3], ("no event",), *query()[4:])), "event_"),
        (("za_1", (*query()[:5], ("bar",), data.Set())), "as requires_tables"),
        (("za_1", query(every=-1)), "negative schedule_"),
    ],
)
def test_malformed_install_is_told_to_its_sender(arguments, hint):
    """Nothing is installed, and the sender alone learns what is wrong."""
    talk = joined()
    orders = talk.send("install_query_v1", "zeek_a", *arguments)
    [(topic, _, text)] = errors(orders)
    assert topic == f"/zeek-agent/response/zeek_a/{AGENT}"
    assert hint in text
    assert talk.session.held == {}


@pytest.mark.parametrize("instance", [1, None, "", "a/b", "a b", "x" * 200])
def test_event_without_a_usable_instance_answers_nobody(instance):
    """What cannot be a component of a topic is no instance."""
    talk = Talk()
    talk.connect()
    orders = talk.send("zeek_hello_v1", instance, ("9.0.0", data.Count(90000), ""))
    assert of(orders, Publish) == []
    assert talk.session.instances == {}


@pytest.mark.parametrize(
    ("subscription", "part", "update"),
    [
        ("SnapshotPlusDifferences", "rows", "INITIAL"),
        ("SnapshotPlusDifferences", "added", "ADD"),
        ("Differences", "deleted", "REMOVE"),
        ("Snapshots", "rows", "SNAPSHOT"),
    ],
)
def test_results_in_the_form_of_the_first_generation(subscription, part, update):
    """A query whose event says so gets a short record, then its columns."""
    talk = joined()
    talk.install(event=("E::result", "first-generation"), subscription=subscription, cookie="c")
    [rows] = of(talk.result(**{part: [(5,)]}), PublishRows)
    [frame] = codec.Frames(talk.session.rules).of(rows)
    event = codec.decode_frame(frame, talk.session.rules)
    assert event.name == "E::result"
    assert event.arguments == ((AGENT, f"ZeekAgent::{update}", "c"), 5)


def test_same_query_twice_is_installed_once():
    """Zeek sends a query again to a joining agent that has just had it."""
    talk = joined()
    talk.install()
    assert talk.install() == []


def test_id_in_use_is_refused():
    """Another statement under a taken id is an error, and the first one stays."""
    talk = joined()
    talk.install()
    orders = talk.install(sql="SELECT 2")
    assert "in use" in errors(orders)[0][2]
    assert of(orders, Install) == []


def test_instances_may_use_the_same_ids():
    """Two Zeeks with one query id each have a query of their own."""
    talk = joined()
    talk.install()
    talk.install(zeek="zeek_b")
    assert len(talk.session.held) == 2
    talk.result(zeek="zeek_b", rows=[(1,)])
    assert {o.topic for o in of(talk.orders, PublishRows)} == {
        f"/zeek-agent/response/zeek_b/{AGENT}"
    }


def test_stranger_cannot_cancel():
    """Only the Zeek that installed a query may cancel it; the other is told so."""
    talk = joined()
    talk.install()
    orders = talk.cancel(zeek="zeek_b")
    assert of(orders, Cancel) == []
    [(topic, query_id, _)] = errors(orders)
    assert (topic, query_id) == (f"/zeek-agent/response/zeek_b/{AGENT}", "za_1")


def test_cancel_of_an_unknown_query_is_silent():
    """The package cancels everywhere what only some agents have."""
    talk = joined()
    assert talk.cancel(query_id="za_9") == []


def test_goodbye_of_a_zeek_ends_its_queries():
    """A shutdown cancels the queries of that instance and of no other."""
    talk = joined()
    talk.install()
    talk.install(zeek="zeek_b")
    assert talk.send("zeek_shutdown_v1", "zeek_a") == [Cancel("zeek:9997/zeek_a/za_1")]
    assert list(talk.session.instances) == ["zeek_b"]


def test_old_package_is_refused():
    """A package before 2.0.2-8 gets the C++ agent's error, and nothing more."""
    talk = Talk()
    talk.connect()
    talk.install()
    orders = talk.hello(package="2.0.2-7")
    text = (
        "Zeek package version too old, disabling communication (want 200020008, but have 200020007)"
    )
    assert [told for *_, told in errors(orders)] == [text]
    assert of(orders, Cancel) == [Cancel("zeek:9997/zeek_a/za_1")]
    assert talk.install(query_id="za_2") == []


@pytest.mark.parametrize("package", ["", "v2.4-0", "2.0.2-8", "v2.3.0-dev-12", None])
def test_other_packages_are_accepted(package):
    """New enough, unreadable and missing versions are all fine."""
    talk = Talk()
    talk.connect()
    assert errors(talk.hello(package=package)) == []
    assert of(talk.install(), Install) != []


def test_silent_zeek_gets_a_new_hello_id():
    """After a time-out on a live connection Zeek must see a change to send its queries again."""
    talk = joined(hello_interval=600.0)
    talk.install()
    orders = talk.wait(121.0)
    assert talk.session.instances == {}
    assert hellos(orders)[0][0][2] == "agent_hello_1"
    assert talk.result(added=[(1,)]) == []
    assert sent(talk.install()) == [(ADD, [(1,)])]


def test_new_zeek_on_the_same_connection_hears_a_hello_soon():
    """A worker that starts late does not wait for the next regular hello."""
    talk = joined()
    talk.hello(zeek="zeek_b", topic=ALL)
    assert len(hellos(talk.wait(1.5))) == 1


def test_undeclared_events_slow_their_query():
    """Each complaint makes the query wait longer; the log has the first, tenth, hundredth."""
    talk = joined()
    talk.install()
    talk.result(added=[(1,)])
    orders = [o for _ in range(10) for o in talk.session.complained("broken", talk.now)]
    assert [o.seconds for o in of(orders, Slow)] == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert len(of(orders, Log)) == 2


def test_first_snapshots_are_spread_after_a_reconnect():
    """A fleet that rejoins does not answer in one moment; events are not held back."""
    talk = joined()
    talk.lose()
    talk.connect()
    assert of(talk.install(subscription="SnapshotPlusDifferences"), Install) == []
    assert len(of(talk.install(query_id="za_2", subscription="Events"), Install)) == 1
    assert len(of(talk.wait(16.0), Install)) == 1


def test_shutdown_says_goodbye():
    """An orderly end cancels all and tells every Zeek."""
    talk = joined()
    talk.install()
    cancel, goodbye = talk.session.shutdown()
    assert cancel == Cancel("zeek:9997/zeek_a/za_1")
    assert goodbye.topic == f"/zeek-agent/response/all/{AGENT}"
    assert goodbye.event == "ZeekAgentAPI::agent_shutdown_v1"
    assert goodbye.arguments[0][2] is None


def test_group_joined_at_run_time_is_subscribed_on_a_new_connection():
    """Subscriptions of a connection are fixed, so another one is made, at once."""
    talk = joined()
    talk.send("join_group_v1", "zeek_a", "Geo/DE")
    [order] = of(talk.wait(1.5), Resubscribe)
    assert "/zeek-agent/query/group/geo/de" in order.topics


def test_group_below_one_that_is_subscribed_needs_no_new_connection():
    """A prefix covers it; a new hello id makes Zeek send the queries of the group."""
    talk = joined(groups=("geo",))
    talk.send("join_group_v1", "zeek_a", "geo/de")
    orders = talk.wait(1.5)
    assert of(orders, Resubscribe) == []
    assert hellos(orders)[0][0][2] == "agent_hello_1"


def test_left_group_takes_its_queries_along():
    """Queries that came to a group end with the membership."""
    talk = joined(groups=("geo",))
    talk.send("join_group_v1", "zeek_a", "geo/de")
    talk.install(topic="/zeek-agent/query/group/geo/de")
    talk.install(query_id="za_2", topic="/zeek-agent/query/group/geo")
    orders = talk.send("leave_group_v1", "zeek_a", "geo/de")
    assert orders == [Cancel("zeek:9997/zeek_a/za_1")]


def test_time_zone_of_an_old_zeek_is_learned():
    """Old Zeeks mean their local time, and stamp their events with it."""
    talk = Talk()
    talk.connect(OLD)
    stamp = int((talk.now + 7200 - 3) * 1e9)
    talk.session.received(Event(HOST, "any", (), stamp), talk.now)
    assert talk.session.rules.utc_offset == 7200
