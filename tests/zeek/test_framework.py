"""The framework of the Zeek package, with agents that do what the tests say."""

import asyncio
from datetime import timedelta

import pytest

from tests.zeek.conftest import OURS, Process, RealZeek, wait_for
from tests.zeek.scripted_agent import ScriptedAgent, count
from zeek_agent_core.broker.data import Timespan
from zeek_agent_core.broker.messages import CancelQuery, InstallQuery, ZeekHello
from zeek_agent_core.query import Change, Subscription

FRAMEWORK = OURS.replace("@load zeek-agent\n", "@load zeek-agent/framework\n")
COLUMNS = """
module Test;
export { type Columns: record { n: count &optional; name: string &optional; }; }
event row(ctx: ZeekAgent::Context, columns: Columns)
    {
    print fmt("row %s %s %s %s", ZeekAgent::hostname(ctx), columns, ZeekAgent::change_type(ctx),
              ctx?$cookie ? ctx$cookie : "-");
    flush_all();
    }
function ask(sql: string): ZeekAgent::Query
    { return ZeekAgent::Query($sql_stmt=sql, $event_=row); }
"""


@pytest.fixture
def zeek(start, tmp_path):
    """Return a function that starts a Zeek with the framework and a script."""

    def make(script, framework=FRAMEWORK):
        (tmp_path / "zeek").mkdir()
        return start(RealZeek, "zeek", framework + COLUMNS + script)

    return make


def complaints(zeek):
    """Return what Zeek complained about."""
    return [row for row in zeek.log("reporter") if row["level"] != "Reporter::INFO"]


async def said(zeek, text):
    """Wait until Zeek has printed *text*."""
    for _ in range(150):
        if text in zeek.output:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not printed: {text}\n{zeek.output}\n{zeek.log('reporter')}")


async def test_result_reaches_the_handler(zeek):
    """A row comes with host, columns, change and cookie of the query that asked for it."""
    zeek = zeek("""
event zeek_init() {
    ZeekAgent::query([$sql_stmt="SELECT 1", $event_=row, $cookie="cook", $schedule_=2sec,
        $subscription=ZeekAgent::Differences, $requires_tables=set("users")]);
}
""")
    async with ScriptedAgent(zeek, "H1") as agent:
        await agent.hello()
        [query] = await agent.wait()
        assert query.sql == "SELECT 1"
        assert query.interval.total_seconds() == 2
        assert query.subscription is Subscription.DIFFERENCES
        assert query.requires_tables == {"users"}
        await agent.row(query, count(7), "seven", change=Change.ADD)
        await agent.row(query, None, None, count(1), change=Change.DELETE)
        await said(zeek, "row H1.example [n=7, name=seven] new cook")
        await said(zeek, "row H1.example [n=<uninitialized>, name=<uninitialized>] gone cook")
    assert complaints(zeek) == []


async def test_query_reaches_its_host_alone(zeek):
    """A query for one host goes to it, now or when it comes, and to no other."""
    zeek = zeek("""
event zeek_init() {
    ZeekAgent::query(ask("SELECT 2"), ZeekAgent::Host, "H2");
    ZeekAgent::query(ask("SELECT 3"), ZeekAgent::Host, "H3");
}
event ZeekAgent::agent_joined(hid: string, hello: ZeekAgentAPI::AgentHelloV1) {
    if ( hid == "H3" ) ZeekAgent::query(ask("SELECT 22"), ZeekAgent::Host, "H2");
}
""")
    async with ScriptedAgent(zeek, "H2") as second, ScriptedAgent(zeek, "H3") as third:
        await second.hello()
        await second.wait(number=1)
        await third.hello()
        await third.wait(number=1)
        await second.wait(number=2)
        await third.settle()
        assert second.statements() == ["SELECT 2", "SELECT 22"]
        assert third.statements() == ["SELECT 3"]


async def test_cancelled_query_stays_cancelled(zeek):
    """Agents are told of a cancelled query, once; those that come later never hear of it."""
    zeek = zeek("""
global id = "";
event zeek_init() {
    id = ZeekAgent::query(ask("SELECT 1"));
    ZeekAgent::query(ask("SELECT 2"));
    ZeekAgent::cancel("za_no_such_query");
}
event row(ctx: ZeekAgent::Context, columns: Columns) { ZeekAgent::cancel(id); }
""")
    async with ScriptedAgent(zeek, "H1") as agent:
        await agent.hello()
        first, second = sorted(await agent.wait(number=2), key=lambda query: query.sql)
        await agent.row(second, count(1), "a")
        [cancelled] = await agent.wait(CancelQuery)
        assert (cancelled.instance, cancelled.query_id) == (first.instance, first.query_id)
        async with ScriptedAgent(zeek, "H2") as late:
            await late.hello()
            await late.wait()
            await late.settle()
            assert late.statements() == ["SELECT 2"]
    assert complaints(zeek) == []


async def test_hello_may_lack_facts(zeek):
    """An agent that says nothing about itself has no tables, and a name that says so."""
    zeek = zeek("""
event ZeekAgent::agent_joined(hid: string, hello: ZeekAgentAPI::AgentHelloV1) {
    print fmt("tables %d %d name %s addrs %d", |ZeekAgent::supported_tables(hid)|,
        |ZeekAgent::supported_tables("nobody")|, ZeekAgent::name_of(hid),
        |ZeekAgent::host_addrs(hid)|);
    flush_all();
}
""")
    async with ScriptedAgent(zeek, "H1") as agent:
        await agent.hello(hostname=None, addresses=None, tables=None, uptime=None, platform=None)
        await said(zeek, "tables 0 0 name <unknown> addrs 0")
    assert complaints(zeek) == []


GROUPS = """
event zeek_init() {
    ZeekAgent::query(ask("all"));
    ZeekAgent::query(ask("geo"), ZeekAgent::Group, "geo");
    ZeekAgent::query(ask("de"), ZeekAgent::Group, "Geo/DE");
    ZeekAgent::query(ask("ge"), ZeekAgent::Group, "ge");
    ZeekAgent::query_targets(ask("several"), ZeekAgent::Targets($groups=set("geo/fr", "web")));
    ZeekAgent::query(ask("address"), ZeekAgent::Address, "10.1.1.1");
    ZeekAgent::query(ask("subnet"), ZeekAgent::Subnet, "10.1.0.0/16");
    ZeekAgent::join(10.2.0.0/16, "geo/de/hamburg");
    ZeekAgent::add_to_group("H9", "web");
}
event ZeekAgent::agent_joined_group(hid: string, group: string) {
    print fmt("joined %s %s %d", hid, group, |ZeekAgent::members(group)|); flush_all();
}
event ZeekAgent::agent_left_group(hid: string, group: string) {
    print fmt("left %s %s %d", hid, group, |ZeekAgent::members(group)|); flush_all();
}
event ZeekAgent::agent_error(ctx: ZeekAgent::Context, msg: string) {
    if ( msg == "leave" ) ZeekAgent::leave(10.2.0.0/16, "geo/de/hamburg");
    if ( msg == "join" ) ZeekAgent::join(10.2.0.0/16, "geo/de/hamburg");
}
"""


@pytest.mark.parametrize(
    ("agent_id", "groups", "addresses", "asked"),
    [
        ("H1", ["geo/de/berlin"], (), {"all", "geo", "de"}),
        ("H1", ["geo/fr"], (), {"all", "geo", "several"}),
        ("H1", ["web2"], ("10.1.1.1",), {"all", "address", "subnet"}),
        ("H1", ["web"], ("10.1.1.2", "fe80::1"), {"all", "subnet", "several"}),
        ("H1", [], ("10.2.0.1",), {"all", "geo", "de"}),
        ("H9", [], (), {"all", "several"}),
    ],
)
async def test_targets(zeek, agent_id, groups, addresses, asked):
    """Groups of the configuration and of run time, addresses and subnets choose the agents."""
    zeek = zeek(GROUPS)
    async with ScriptedAgent(zeek, agent_id, groups) as agent:
        await agent.hello(addresses=addresses)
        await agent.wait(number=len(asked))
        await agent.settle()
        assert set(agent.statements()) == asked
        assert {query.event for query in agent.of(InstallQuery)} == {"row"}


async def test_membership_follows_addresses_and_calls(zeek):
    """Queries come and go with an agent's addresses, and when a script changes a group."""
    zeek = zeek(GROUPS)
    async with ScriptedAgent(zeek, "H1") as agent:
        await agent.hello(addresses=("10.2.0.1",))
        first = await agent.wait(number=3)
        await said(zeek, "joined H1 geo/de/hamburg 1")
        await agent.hello(addresses=("192.0.2.1",))
        cancelled = await agent.wait(CancelQuery, 2)
        ids = {query.query_id: query.sql for query in first}
        assert {ids[query.query_id] for query in cancelled} == {"geo", "de"}
        await said(zeek, "left H1 geo 0")
        await agent.hello(addresses=("10.2.0.1",))
        await agent.wait(number=5)
        await agent.error(first[0], "leave")
        await agent.wait(CancelQuery, 4)
        await agent.error(first[0], "join")
        await agent.wait(number=7)


async def test_leaving_at_run_time_keeps_groups_of_the_configuration(zeek):
    """Who is in a group by its own configuration too still runs the group's queries."""
    zeek = zeek(GROUPS)
    async with ScriptedAgent(zeek, "H1", ["geo/de"]) as agent:
        await agent.hello(addresses=("10.2.0.1",))
        await agent.wait(number=3)
        await agent.hello(addresses=())
        await agent.wait(CancelQuery, 2)
        await agent.settle()
        last = {}
        for message in agent.received:
            if isinstance(message, InstallQuery | CancelQuery):
                last[message.query_id] = type(message)
        assert set(last.values()) == {InstallQuery}


async def test_agents_come_and_go(zeek):
    """Join, update, reconnect and shutdown are events, and lines of the log."""
    zeek = zeek("""
event ZeekAgent::agent_joined(hid: string, hello: ZeekAgentAPI::AgentHelloV1) {
    print fmt("joined %s %s %d", hid, hello$hostname, |ZeekAgent::hosts_by_addr(10.0.0.1)|);
    flush_all();
}
event ZeekAgent::agent_left(hid: string, reason: string) {
    print fmt("left %s %s %s %d", hid, reason, ZeekAgent::is_alive(hid),
        |ZeekAgent::hosts_by_addr(10.0.0.1)|);
    flush_all();
}
""")
    async with ScriptedAgent(zeek, "H1") as agent:
        await agent.hello(addresses=("10.0.0.1",))
        await said(zeek, "joined H1 H1.example 1")
        [hello] = await agent.wait(ZeekHello)
        assert hello.package_version == "3.0.0"
        await agent.hello()
        agent.hello_id = "hello2"
        await agent.hello()
        await agent.shutdown()
        await said(zeek, "left H1 shutdown F 0")
        await agent.hello()
        wait_for(lambda: len(zeek.log("zeek-agent")) == 5, "no line", zeek)
    rows = zeek.log("zeek-agent")
    assert [row["type_"] for row in rows] == ["join", "update", "reconnect", "shutdown", "join"]
    assert list(rows[0]) == [
        "ts", "type_", "hid", "hostname", "addresses", "version", "uptime", "platform", "os_name",
    ]  # fmt: skip
    assert rows[0]["addresses"] == "10.0.0.1"
    assert rows[0]["version"] == "300000000"


async def test_silent_agents_are_forgotten(zeek):
    """An agent that says nothing for the time-out is gone, once, and may come again."""
    zeek = zeek("""
redef ZeekAgent::agent_timeout = 2sec;
event ZeekAgent::agent_left(hid: string, reason: string) {
    print fmt("left %s %s", hid, reason); flush_all();
}
""")
    async with ScriptedAgent(zeek, "H1") as agent, ScriptedAgent(zeek, "H2") as silent:
        await silent.hello()
        while "left H2 offline" not in zeek.output:
            await agent.hello()
            await asyncio.sleep(0.3)
        await silent.hello()
        await silent.wait(ZeekHello, 2)
    assert "left H1" not in zeek.output.partition("left H2")[0]
    assert zeek.output.count("left H2") == 1


async def test_every_reconnect_gets_everything_again(zeek):
    """A new hello query brings Zeek's hello and all queries; a repeated one brings nothing."""
    zeek = zeek('event zeek_init() { ZeekAgent::query(ask("SELECT 1")); }')
    async with ScriptedAgent(zeek, "H1") as agent:
        await agent.hello()
        await agent.wait()
        await agent.hello()
        await agent.settle()
        assert len(agent.of(InstallQuery)) == 1
        agent.hello_id = "hello2"
        await agent.hello()
        first, again = await agent.wait(number=2)
        assert first == again


async def test_two_agents_with_one_id(zeek):
    """Two agents that share an ID are warned about once, and do not cause reconnects."""
    zeek = zeek("")
    async with ScriptedAgent(zeek, "H1") as agent, ScriptedAgent(zeek, "H1") as clone:
        clone.hello_id = "hello_of_clone"
        for _ in range(3):
            await agent.hello()
            await agent.settle()
            await clone.hello(instance_id="I2")
            await clone.settle()
        wait_for(lambda: len(zeek.log("zeek-agent")) == 6, "too few lines", zeek)
    types = [row["type_"] for row in zeek.log("zeek-agent")]
    assert types == ["join", "reconnect", "update", "update", "update", "update"]
    warnings = [row for row in complaints(zeek) if "two agents have the ID H1" in row["message"]]
    assert len(warnings) == 1


async def test_errors(zeek):
    """What an agent could not do is an event, a line in two logs, and counted."""
    zeek = zeek("""
event zeek_init() { ZeekAgent::query([$sql_stmt="SELECT foo", $event_=row, $cookie="cook"]); }
event ZeekAgent::agent_error(ctx: ZeekAgent::Context, msg: string) {
    print fmt("error %s %s %d", msg, ctx$cookie, ZeekAgent::statistics(ctx$agent_id)$errors);
    flush_all();
}
""")
    async with ScriptedAgent(zeek, "H1") as agent:
        await agent.hello()
        [query] = await agent.wait()
        await agent.error(query, "no such column: foo")
        await said(zeek, "error no such column: foo cook 1")
    wait_for(lambda: zeek.log("zeek-agent-errors"), "no log of errors")
    [row] = zeek.log("zeek-agent-errors")
    assert list(row)[1:] == ["hid", "host", "query_id", "cookie", "sql", "message"]
    assert (row["hid"], row["sql"], row["cookie"]) == ("H1", "SELECT foo", "cook")
    [told] = complaints(zeek)
    assert told["message"] == "error from Zeek Agent: no such column: foo [H1]"


async def test_services_are_logged(zeek):
    """The log of services has a service that fails, whatever manages services on this host."""
    zeek = zeek("", OURS)
    async with ScriptedAgent(zeek, "H1", tables=("services",)) as agent:
        await agent.hello()
        while not (found := [q for q in agent.of(InstallQuery) if "FROM services" in q.sql]):
            await agent.settle()
        assert found[0].requires_tables == {"services"}
        values = ("a.service", None, False, True, "/a", None, "failed", "failed")
        await agent.row(found[0], *values, change=Change.ADD)
        await agent.settle()
        wait_for(lambda: zeek.log("zeek-agent-services"), "no line", zeek)
    [row] = zeek.log("zeek-agent-services")
    assert list(row.values())[1:] == [
        "H1", "H1.example", "new", "a.service", "-", "F", "T", "/a", "-", "failed", "failed",
    ]  # fmt: skip


FALLBACK = """
redef ZeekAgent_FileEvents::paths_to_watch = set("/p");
"""


async def test_snapshots_in_the_place_of_events(zeek):
    """Without evented tables what came, changed or went is told as events, once each."""
    zeek = zeek(FALLBACK, OURS)
    async with ScriptedAgent(zeek, "H1") as agent:
        await agent.hello()
        await agent.wait(number=15)
        await agent.settle()
        queries = {q.event: q for q in agent.of(InstallQuery) if "snapshot" in q.event}
        files = queries["ZeekAgent_FileEvents::snapshot_result"]
        assert files.if_missing_tables == {"files_events"}
        for change, path in [
            (Change.DELETE, "/changed"), (Change.DELETE, "/gone"),
            (Change.ADD, "/changed"), (Change.ADD, "/new"),
        ]:  # fmt: skip
            values = (None, None, path, None, False, None, None, None, None, None, count(1))
            await agent.row(files, *values, change=change)
        processes = queries["ZeekAgent_ProcessesEvents::snapshot_result"]
        started = timedelta(seconds=5)
        for change, pid, name in [
            (Change.DELETE, 1, "sh"), (Change.DELETE, 2, "ls"),
            (Change.ADD, 1, "cat"), (Change.ADD, 3, "new"),
        ]:  # fmt: skip
            values = [None] * 19
            values[1:3] = [name, count(pid)]
            values[14] = Timespan(started // timedelta(microseconds=1) * 1000)
            await agent.row(processes, *values, change=change)
        await agent.settle()
        for log, lines in (("file-events", 3), ("processes-events", 3)):
            wait_for(lambda log=log, lines=lines: len(zeek.log(f"zeek-agent-{log}")) == lines, log)
    found = {(row["action"], row["path"]) for row in zeek.log("zeek-agent-file-events")}
    assert found == {("modified", "/changed"), ("created", "/new"), ("deleted", "/gone")}
    found = {(row["state"], row["name"]) for row in zeek.log("zeek-agent-processes-events")}
    assert found == {("started", "cat"), ("started", "new"), ("stopped", "ls")}


EXECUTE = """
event ZeekAgent::agent_joined(hid: string, hello: ZeekAgentAPI::AgentHelloV1) {
    when [hid] ( local a = ZeekAgent::execute("SELECT n, name FROM t ;", hid, 3sec) ) {
        for ( _, row_ in a$rows )
            { local c = row_ as Columns; print fmt("answer %s", c); }
        print fmt("end %s %s %d", a$ok, a$error, |a$rows|); flush_all();
        }
    when ( local b = ZeekAgent::execute("SELECT 1", "nobody") ) {
        print fmt("nobody %s %s", b$ok, b$error); flush_all();
        }
}
"""


async def asked(agent):
    """Return the one-shot query, which Zeek has wrapped."""
    [query] = await agent.wait()
    assert "SELECT n, name FROM t\n" in query.sql
    assert query.interval is None
    return query


async def test_execute_waits_for_all_rows(zeek):
    """A one-shot query answers once, with all its rows as records."""
    zeek = zeek(EXECUTE)
    async with ScriptedAgent(zeek, "H1") as agent:
        await agent.hello()
        query = await asked(agent)
        await agent.row(query, count(1), "a", 1, 2)
        await agent.row(query, count(2), None, 1, 2)
        await said(zeek, "end T  2")
        assert "answer [n=1, name=a]\nanswer [n=2, name=<uninitialized>]\n" in zeek.output
        await said(zeek, "nobody F no such agent")
    assert complaints(zeek) == []


async def test_execute_without_rows(zeek):
    """An answer without rows is complete as well."""
    zeek = zeek(EXECUTE)
    async with ScriptedAgent(zeek, "H1") as agent:
        await agent.hello()
        await agent.row(await asked(agent), None, None, None, 0)
        await said(zeek, "end T  0")


async def test_execute_ends_with_an_error_or_in_time(zeek):
    """An error of the agent's ends the wait, and so does the time; the query is taken back."""
    zeek = zeek(EXECUTE)
    async with ScriptedAgent(zeek, "H1") as agent, ScriptedAgent(zeek, "H2") as silent:
        await agent.hello()
        await agent.error(await asked(agent), "no such table: t")
        await said(zeek, "end F no such table: t 0")
        await silent.hello()
        query = await asked(silent)
        await said(zeek, "end F no answer within 3.0 secs 0")
        [cancelled] = await silent.wait(CancelQuery)
        assert cancelled.query_id == query.query_id


def test_query_without_statement_is_an_error(start, tmp_path):
    """Zeek does not start with a query that lacks its statement or its event."""
    (tmp_path / "zeek").mkdir()
    script = 'event zeek_init() { ZeekAgent::query(ZeekAgent::Query($sql_stmt="SELECT 1")); }'
    zeek = RealZeek(tmp_path / "zeek", FRAMEWORK + script)
    Process.start(zeek)
    assert zeek.process.wait(20) != 0
    assert "needs sql_stmt and event_" in zeek.output


FIRST = """
module Old;
export {
    global user: event(result: ZeekAgent::Result, uid: int, name: string, share: double);
}
event user(result: ZeekAgent::Result, uid: int, name: string, share: double) {
    print fmt("user %s %s %s %d %s %s %s", result$host, result$utype, result$cookie, uid, name,
              share, ZeekAgent::getHostInfo(result$host)$hostname);
    flush_all();
    ZeekAgent::unsubscribe(ZeekAgent::Query($ev=Old::user, $query="SELECT uid, name, share FROM t",
        $inter=5sec));
}
event zeek_init() {
    ZeekAgent::subscribe(ZeekAgent::Query($ev=Old::user, $query="SELECT uid, name, share FROM t",
        $inter=5sec, $cookie="c"));
    ZeekAgent::execute_multiple([$ev=Old::user, $query="SELECT 1"], vector("H1"));
}
event ZeekAgent::host_connected(host_id: string)
    { print fmt("connected %s", host_id); flush_all(); }
"""


async def test_scripts_of_the_first_generation(zeek):
    """Old scripts subscribe, get one parameter per column, and unsubscribe."""
    load = "@load zeek-agent/first-generation\n"
    zeek = zeek(FIRST, FRAMEWORK.replace("@load zeek-agent/framework\n", load))
    async with ScriptedAgent(zeek, "H1") as agent:
        await agent.hello()
        await said(zeek, "connected H1")
        queries = {query.sql: query for query in await agent.wait(number=2)}
        query = queries["SELECT uid, name, share FROM t"]
        assert query.is_first_generation
        assert query.subscription is Subscription.SNAPSHOT_PLUS_DIFFERENCES
        assert queries["SELECT 1"].interval is None
        await agent.spread(query, 7, "root", 0.5)
        await said(zeek, "user H1 ZeekAgent::INITIAL c 7 root 0.5 H1.example")
        [cancelled] = await agent.wait(CancelQuery)
        assert cancelled.query_id == query.query_id
    assert complaints(zeek) == []
