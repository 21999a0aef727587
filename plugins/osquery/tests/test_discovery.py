"""Osquery's tables in a whole agent: they come, go and change with osquery."""

import asyncio
import sys
import threading
import time
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from plugins.osquery.tests.conftest import EVENTS, HASH, LISTENING, TABLES
from plugins.osquery.tests.hostile import serving
from zeek_agent_core import kernel
from zeek_agent_core.errors import ParameterError, QueryError, TableError
from zeek_agent_core.query import Query, Subscription

JOIN = (
    "SELECT p.name, l.port, l.address FROM osquery_listening_ports l "
    "JOIN processes p USING (pid) ORDER BY l.port"
)


@asynccontextmanager
async def running(config):
    """Run an agent that has found what there is to find."""
    async with asyncio.timeout(40), kernel.running(config) as agent:
        await agent.discoveries.settled()
        yield agent


async def rows(agent, sql):
    """Return the rows of *sql*."""
    return (await agent.database.execute(sql)).rows


async def until(check, *arguments):
    """Wait until *check* holds."""
    while not (found := check(*arguments)):
        await asyncio.sleep(0.02)
    return found


def offers(agent, name):
    """Return whether the agent offers a table."""
    return name in agent.database.tables


class Told:
    """A recipient that keeps what it is told, in turn."""

    def __init__(self):
        self.events = asyncio.Queue()

    def result(self, query, result):
        self.events.put_nowait(result)

    def failed(self, query, error):
        self.events.put_nowait(error)

    def done(self, query, *, is_cancelled):
        pass


async def test_the_join_of_both(osquery, configured):
    """Osquery's tables join with our own, with one question to osquery."""
    async with running(configured()) as agent:
        found = await rows(agent, JOIN)
    assert [row[1:] for row in found] == [(22, "0.0.0.0"), (80, "::")]
    assert len(osquery.queries("listening_ports")) == 1


async def test_killed_and_started_again(osquery, configured):
    """While osquery is gone the error says so; once it is back all is as before."""
    async with running(configured()) as agent:
        before = await rows(agent, JOIN)
        osquery.kill()
        with pytest.raises(TableError, match="osquery_listening_ports: osquery does not run"):
            await rows(agent, JOIN)
        await until(lambda: not offers(agent, "osquery_listening_ports"))
        for name in ("osquery_listening_ports", "listening_ports", "osquery_never_seen"):
            with pytest.raises(TableError, match=f"table {name}: osquery does not run: nobody"):
                await rows(agent, f"SELECT * FROM {name}")
        assert await rows(agent, "SELECT is_reachable, tables FROM osquery_status") == [(0, 0)]
        osquery.start()
        await until(offers, agent, "osquery_listening_ports")
        assert await rows(agent, JOIN) == before


async def test_an_osquery_that_starts_later(standin, configured):
    """The agent runs without osquery, and has its tables once it starts."""
    async with running(configured()) as agent:
        assert not offers(agent, "osquery_listening_ports")
        assert await rows(agent, "SELECT count(*) > 0 FROM processes") == [(1,)]
        with pytest.raises(TableError, match="osquery does not run: there is no"):
            await rows(agent, JOIN)
        standin.start()
        await until(offers, agent, "osquery_listening_ports")
        assert len(await rows(agent, JOIN)) == 2


async def test_names(osquery, configured):
    """All tables have their prefix, those whose name is free their own; ours stay ours."""
    async with running(configured()) as agent:
        shown = "SELECT name FROM zeek_agent_tables WHERE provider = 'zeek-agent-osquery'"
        names = {name for (name,) in await rows(agent, shown)}
        ours = await rows(agent, "SELECT provider FROM zeek_agent_tables WHERE name = 'processes'")
        sources = await rows(agent, "SELECT source FROM zeek_agent_tables WHERE name = 'hash'")
        listed = await rows(agent, "SELECT tables FROM zeek_agent")
    assert names == {
        "osquery_listening_ports", "listening_ports", "osquery_hash", "hash", "osquery_processes",
        "osquery_osquery_info", "osquery_info", "osquery_osquery_registry", "osquery_registry",
        "osquery_status",
    }  # fmt: skip
    assert ours == [("zeek-agent-linux",)]
    assert sources == [("osquery 5.99.0",)]
    assert '"osquery_listening_ports"' in listed[0][0]


async def test_other_names(osquery, configured):
    """The prefix, plain names, left out and evented tables are as the configuration says."""
    settings = {
        "prefix": "oq_",
        "plain_names": False,
        "include_events": ["process_*"],
        "exclude": ["hash", "osquery_*"],
    }
    async with running(configured(**settings)) as agent:
        shown = "SELECT name FROM zeek_agent_tables WHERE provider = 'zeek-agent-osquery'"
        names = {name for (name,) in await rows(agent, shown)}
    assert names == {"oq_listening_ports", "oq_processes", "oq_process_events", "osquery_status"}


async def test_queries_follow_the_tables(osquery, configured):
    """A query that requires an osquery table rests while osquery is away."""
    query = Query(
        "q", "SELECT port FROM listening_ports", timedelta(seconds=0.1), Subscription.DIFFERENCES,
        requires_tables=frozenset({"listening_ports"}),
    )  # fmt: skip
    async with running(configured()) as agent:
        told = Told()
        await agent.scheduler.install(query, told)
        assert (await told.events.get()).total == 3
        installed = agent.scheduler.installed["q"]
        osquery.kill()
        await until(lambda: installed.is_waiting)
        osquery.start()
        await until(lambda: not installed.is_waiting)
        while not told.events.empty():
            event = told.events.get_nowait()
            assert isinstance(event, QueryError) or not event.deleted


async def test_nothing_looks_removed(osquery, configured):
    """A query that goes on meanwhile is told the error, once, and no row is reported gone."""
    query = Query(
        "q", "SELECT port FROM listening_ports", timedelta(seconds=0.1), Subscription.DIFFERENCES
    )
    async with running(configured()) as agent:
        told = Told()
        await agent.scheduler.install(query, told)
        first = await told.events.get()
        assert (first.added, first.deleted) == ((), ())
        osquery.kill()
        while not isinstance(event := await told.events.get(), QueryError):
            assert not event.deleted
        assert "osquery" in str(event)
        tables = {**TABLES, "listening_ports": {**LISTENING, "rows": LISTENING["rows"][1:]}}
        osquery.write(tables)
        osquery.start()
        while isinstance(event := await told.events.get(), QueryError) or not event.deleted:
            pass
        assert [tuple(row) for row in event.deleted] == [(22,)]


async def test_an_error_of_osquery(osquery, configured):
    """When osquery refuses a statement the asker is told, and earlier rows are not gone."""
    query = Query(
        "q", "SELECT port FROM listening_ports", timedelta(seconds=0.1), Subscription.DIFFERENCES
    )
    async with running(configured()) as agent:
        told = Told()
        await agent.scheduler.install(query, told)
        await told.events.get()
        osquery.write(TABLES, listening_ports={"fail": "disk I/O error"})
        while not isinstance(event := await told.events.get(), QueryError):
            assert not event.deleted
        assert str(event) == "table listening_ports: osquery says: disk I/O error"
        osquery.write(TABLES)
        result = await told.events.get()
        assert (list(result.added), list(result.deleted)) == ([], [])
        assert offers(agent, "listening_ports")


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ({"raise": "oops"}, "osquery failed in query: Internal error"),
        ({"exit": True}, "osquery closed the connection|does not run|broke"),
        ({"sleep": 30}, "osquery gave no answer to query within 0.5 s"),
    ],
)
async def test_what_may_go_wrong(osquery, configured, behaviour, message):
    """A table at which osquery hangs, fails or dies is an error; our own tables answer."""
    osquery.write(TABLES, listening_ports=behaviour)
    async with running(configured(timeout=0.5)) as agent:
        with pytest.raises(TableError, match=message):
            await rows(agent, JOIN)
        assert await rows(agent, "SELECT count(*) > 0 FROM processes") == [(1,)]


async def test_the_loop_is_never_blocked(osquery, configured):
    """While osquery is slow, the agent's loop runs, and a query can be cancelled."""
    osquery.write(TABLES, listening_ports={"sleep": 30})
    async with running(configured(timeout=20.0)) as agent:
        asking = asyncio.create_task(rows(agent, JOIN))
        await until(lambda: osquery.queries("listening_ports"))
        assert not asking.done()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert len(await rows(agent, "SELECT path FROM hash WHERE path = '/bin/ls'")) == 1


async def test_other_tables_beside_a_slow_one(osquery, configured):
    """While a statement waits for osquery, others are answered, osquery's tables included."""
    osquery.write(TABLES, listening_ports={"sleep": 2})
    async with running(configured()) as agent:
        asking = asyncio.create_task(rows(agent, JOIN))
        await until(lambda: osquery.queries("listening_ports"))
        for _ in range(3):
            assert await rows(agent, "SELECT count(*) > 0 FROM processes") == [(1,)]
            assert len(await rows(agent, "SELECT * FROM osquery_processes")) == 1
        assert not asking.done()
        assert len(await asking) == 2
    assert len(osquery.queries("listening_ports")) == 1


async def test_other_tables_after_a_slow_one(osquery, configured):
    """A table that is too slow does not keep the others from answering afterwards."""
    osquery.write(TABLES, listening_ports={"sleep": 3})
    async with running(configured(timeout=0.5)) as agent:
        with pytest.raises(TableError, match="gave no answer"):
            await rows(agent, JOIN)
        await until(lambda: agent.catalog.discoveries[0][0].osquery.facts.trouble is None)
        assert len(await rows(agent, "SELECT * FROM osquery_processes")) == 1
        assert offers(agent, "listening_ports")


async def test_tables_that_change(osquery, configured):
    """What osquery has newly is offered, what it has no more is not; the rest stays."""
    async with running(configured(refresh_interval=0.2)) as agent:
        kept = agent.database.tables["hash"]
        osquery.write({"hash": HASH, "usb_devices": {"columns": [["vendor", "TEXT"]], "rows": []}})
        await until(offers, agent, "usb_devices")
        await until(lambda: not offers(agent, "listening_ports"))
        assert agent.database.tables["hash"] is kept
        assert await rows(agent, "SELECT * FROM osquery_usb_devices") == []
        with pytest.raises(QueryError, match="no such table: listening_ports"):
            await rows(agent, "SELECT * FROM listening_ports")


async def test_columns_that_change(osquery, configured):
    """A table that another osquery has with other columns takes the place of the old one."""
    async with running(configured()) as agent:
        old = agent.database.tables["hash"]
        osquery.kill()
        osquery.write({"hash": {"columns": [["path", "TEXT"], ["crc", "INTEGER"]],
                                "rows": [["/a", 7]]}})  # fmt: skip
        osquery.start()
        await until(lambda: agent.database.tables.get("hash") not in (None, old))
        assert await rows(agent, "SELECT * FROM hash") == [("/a", 7)]


async def test_evented_by_attribute(osquery, configured):
    """A table is evented if osquery says so, whatever its name."""
    attributes = [{"id": "attributes", "attributes": "4"}]
    osquery.write({"yara_hits": {**EVENTS, "routes": attributes}, "hash": HASH})
    async with running(configured()) as agent:
        assert offers(agent, "hash")
        assert not offers(agent, "yara_hits")
    async with running(configured(include_events=["yara_hits"])) as agent:
        assert len(await rows(agent, "SELECT * FROM yara_hits")) == 1


async def test_odd_columns_and_aliases(osquery, configured):
    """Keywords as names, aliases of tables and columns, hidden and required columns work."""
    osquery.write({
        "odd": {
            "columns": [["order", "INTEGER", 0], ["group", "TEXT", 0], ["index", "BIGINT", 16]],
            "rows": [[1, "wheel", 10], [2, "adm", 20]],
            "routes": [
                {"id": "alias", "alias": "strange"},
                {"id": "columnAlias", "name": "team", "target": "group"},
            ],
        }
    })  # fmt: skip
    async with running(configured()) as agent:
        assert await rows(agent, 'SELECT * FROM odd WHERE "order" > 1') == [(2, "adm")]
        assert await rows(agent, 'SELECT "index", team FROM strange WHERE "group" = \'adm\'') == [
            (20, "adm")
        ]
        assert await rows(agent, "SELECT team FROM osquery_strange WHERE team = 'wheel'") == [
            ("wheel",)
        ]
    assert '"order" >= 1' in osquery.queries("odd")[0]


async def test_required_columns(osquery, configured):
    """A column that osquery requires is passed on; without it the error names it."""
    async with running(configured()) as agent:
        with pytest.raises(
            ParameterError, match="osquery_hash needs a condition on path or directory"
        ):
            await rows(agent, "SELECT * FROM osquery_hash")
        with pytest.raises(TableError, match="osquery has to know path or directory: give it"):
            await rows(agent, "SELECT * FROM osquery_hash WHERE path = 5")
        with pytest.raises(TableError, match="give it by =, IN or LIKE"):
            await rows(agent, "SELECT * FROM osquery_hash WHERE path GLOB '/bin/*'")
        sql = "SELECT sha256 FROM osquery_hash WHERE path = '/bin/ls'"
        assert await rows(agent, sql) == [("bb",)]
        sql = "SELECT path FROM osquery_hash WHERE directory = '/bin' ORDER BY 1"
        assert await rows(agent, sql) == [("/bin/ls",), ("/bin/sh",)]
        both = (
            "SELECT h.sha256 FROM files_list('/bin/*') f JOIN osquery_hash h ON h.path = f.path "
            "WHERE f.path IN ('/bin/sh', '/bin/ls') ORDER BY 1"
        )
        assert {row[0] for row in await rows(agent, both)} <= {"aa", "bb"}
    first = osquery.queries("hash")[0]
    assert first == 'SELECT "path", "sha256" FROM "hash" WHERE "path" = \'/bin/ls\''


async def test_pid_is_passed_on_in_a_join(osquery, configured):
    """Where the other table is the narrow one, osquery is asked for its pids only."""
    sql = (
        "SELECT l.port FROM processes p JOIN osquery_listening_ports l USING (pid) "
        "WHERE p.pid = 1 ORDER BY l.port"
    )
    async with running(configured()) as agent:
        assert await rows(agent, sql) == [(22,), (80,)]
    assert osquery.queries("listening_ports") == [
        'SELECT "pid", "port" FROM "listening_ports" WHERE "pid" = 1'
    ]


async def test_a_lookup_is_one_question(osquery, configured):
    """A condition that is passed on costs one question; so does the same one asked twice."""
    async with running(configured()) as agent:
        before = len(osquery.calls())
        await rows(agent, "SELECT sha256 FROM osquery_hash WHERE path = '/bin/ls'")
        assert len(osquery.calls()) == before + 1
        twice = "SELECT a.port FROM listening_ports a, listening_ports b WHERE a.port = b.port"
        await rows(agent, f"{twice} || ''")
        assert len(osquery.queries("listening_ports")) <= 4  # once for each value, at most
        await rows(agent, "SELECT count(*) FROM listening_ports")
    assert osquery.queries("listening_ports")[-1] == 'SELECT 1 AS one FROM "listening_ports"'


async def test_only_the_columns_in_use(osquery, configured):
    """Osquery is asked for no more columns than the query looks at."""
    async with running(configured()) as agent:
        await rows(agent, "SELECT address FROM listening_ports WHERE protocol = 6")
    assert osquery.queries("listening_ports") == [
        'SELECT "protocol", "address" FROM "listening_ports" WHERE "protocol" = 6'
    ]


async def test_many_columns(osquery, configured):
    """A table may have more columns than SQLite tells apart."""
    names = [f"c{number}" for number in range(150)]
    osquery.write({"wide": {"columns": [[name, "INTEGER", 0] for name in names],
                            "rows": [list(range(150))]}})  # fmt: skip
    async with running(configured()) as agent:
        assert await rows(agent, "SELECT * FROM wide") == [tuple(range(150))]
        assert await rows(agent, "SELECT c149 FROM wide WHERE c3 = 3") == [(149,)]


async def test_types(osquery, configured):
    """Values are of the type that osquery declares; empty and impossible ones are NULL."""
    osquery.write({
        "kinds": {
            "columns": [["t", "TEXT"], ["i", "INTEGER"], ["b", "BIGINT"], ["u", "UNSIGNED BIGINT"],
                        ["d", "DOUBLE"], ["x", "BLOB"], ["q", "UNKNOWN"]],
            "rows": [
                ["a", 1, -(2**62), 5, 1.5, {"hex": "00ff"}, "?"],
                [None, None, None, None, None, None, None],
                [{"hex": "61ff"}, "abc", "1e5", {"hex": b"18446744073709551615".hex()}, "1,5",
                 "text", "!"],
            ],
        }
    })  # fmt: skip
    async with running(configured()) as agent:
        found = await rows(agent, "SELECT * FROM kinds")
        shown = "SELECT warnings, last_warning FROM zeek_agent_tables WHERE name = 'kinds'"
        ((warnings, last),) = await rows(agent, shown)
    assert found == [
        ("a", 1, -(2**62), 5, 1.5, b"\0\xff", "?"),
        ("", None, None, None, None, b"", ""),
        (r"a\xff", None, 100_000, None, None, b"text", "!"),
    ]
    assert warnings == 3
    assert "column d is NULL where it is of the wrong type: '1,5' is no number" in last


async def test_too_many_rows(osquery, configured):
    """More rows than allowed are an error, never a part of them."""
    osquery.write({"long": {"columns": [["n", "INTEGER"]], "rows": [[n] for n in range(50)]}})
    async with running(configured(max_rows=49)) as agent:
        with pytest.raises(TableError, match=r"50 rows, more than 49; .* \[osquery\] max_rows"):
            await rows(agent, "SELECT * FROM long")
        assert len(await rows(agent, "SELECT * FROM long WHERE n < 30")) == 30


async def test_statements_of_osquerys_own(osquery, configured):
    """Where it is allowed, osquery runs a whole statement, with rows as JSON."""
    sql = "SELECT number, row FROM osquery('SELECT port, address FROM listening_ports')"
    async with running(configured()) as agent:
        assert not offers(agent, "osquery")
    async with running(configured(allow_queries=True)) as agent:
        found = await rows(agent, sql)
        with pytest.raises(TableError, match="table osquery: osquery says: no such table: nope"):
            await rows(agent, "SELECT * FROM osquery('SELECT * FROM nope')")
        osquery.kill()
        with pytest.raises(TableError, match="table osquery: osquery does not run"):
            await rows(agent, sql)
    assert found[0] == (0, '{"port":22,"address":"0.0.0.0"}')
    assert len(found) == 3


async def test_status(osquery, configured):
    """The status tells which osquery it is, and how asking it went."""
    before = time.time_ns() // 1000
    async with running(configured()) as agent:
        await rows(agent, "SELECT * FROM listening_ports")
        ((version, uuid, tables, since, trouble),) = await rows(
            agent, "SELECT version, uuid, tables, since, trouble FROM osquery_status"
        )
    assert (version, uuid) == ("5.99.0", "4C4C4544-0000-2010-8020-80C04F202020")
    assert tables == len([*TABLES, "osquery_info", "osquery_registry"]) - 1
    assert since >= before
    assert trouble is None


async def test_without_a_socket_there_is_nothing(configured):
    """Osquery is off unless the configuration has its socket."""
    async with running(configured(extensions_socket="")) as agent:
        assert not [name for name in agent.database.tables if "osquery" in name]
        assert not agent.catalog.discoveries


async def test_the_end_does_not_wait_for_osquery(tmp_path, configured):
    """An agent that ends while osquery hangs lets go of it, whatever the deadline is."""
    asked = threading.Event()

    def hang(_connection, _method, _sequence):
        asked.set()

    with serving(configured().tables["osquery"]["extensions_socket"], hang):
        async with asyncio.timeout(20):
            async with kernel.running(configured(timeout=600.0)):
                assert await asyncio.to_thread(asked.wait, 10)
            while [t for t in threading.enumerate() if "_look" in frames(t)]:
                await asyncio.sleep(0.02)


def frames(thread):
    """Return the names of the functions that a thread is in."""
    frame, names = sys._current_frames().get(thread.ident), []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names
