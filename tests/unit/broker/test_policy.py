"""The owner of the host decides what Zeek may ask, and sees what it got."""

import json
from datetime import timedelta

import pytest

from zeek_agent_core.broker import messages
from zeek_agent_core.broker.actions import Cancel, Install, Log, Publish, PublishRows
from zeek_agent_core.broker.audit import Auditor
from zeek_agent_core.broker.messages import Context
from zeek_agent_core.broker.policy import PathRules, Policy
from zeek_agent_core.config import PolicyConfig
from zeek_agent_core.errors import ForbiddenError
from zeek_agent_core.host import Host
from zeek_agent_core.limits import Limits
from zeek_agent_core.query import Change, Query, ResultColumn, Subscription
from zeek_agent_core.sql.database import Database
from zeek_agent_core.table import EQ, PAUSE, Column, Snapshot
from zeek_agent_core.values import Type


class FilesList(Snapshot):
    """Paths that a test gives."""

    name = "files_list"
    columns = (
        Column("_pattern", Type.TEXT, "pattern"),
        Column("path", Type.TEXT, "path"),
        Column("size", Type.COUNT, "size"),
    )
    paths = ("/etc/hosts", "/etc/shadow", "/etc/ssh/key", "/tmp/link", "/root/x")

    def rows(self, where):
        for number, path in enumerate(self.paths):
            yield {"path": path, "size": number} if where.wants("path") else {"size": number}


class Users(Snapshot):
    """Two users."""

    name = "users"
    columns = (
        Column("name", Type.TEXT, "name", pushdown=EQ),
        Column("email", Type.TEXT, "address", pushdown=EQ),
    )

    def rows(self, where):
        yield {"name": "a", "email": "a@x"}
        yield PAUSE
        yield {"name": "b", "email": "b@x"}


def resolve(path):
    """Follow the one link there is."""
    return "/etc/shadow" if path == "/tmp/link" else path


async def answer(sql, **settings):
    """Return the rows that *sql* has for Zeek, and the table of paths."""
    policy = Policy(PolicyConfig(**settings), resolve)
    paths = FilesList(Host())
    async with Database([paths, Users(Host())], limits=Limits()) as database:
        result = await database.execute(
            sql, guard=policy.guard, limits=policy.limits(database.limits)
        )
        return result.rows, paths


@pytest.mark.parametrize(
    ("pattern", "path", "is_match"),
    [
        ("/etc/*", "/etc/hosts", True),
        ("/etc/*", "/etc/ssh/key", False),
        ("/etc/*", "/etc", False),
        ("/etc/**", "/etc", True),
        ("/etc/**", "/etc/ssh/key", True),
        ("/etc/**", "/etcetera", False),
        ("/home/*/.ssh/**", "/home/a/.ssh/id", True),
        ("/home/*/.ssh/**", "/home/a/b/.ssh/id", False),
        ("/home/**/id", "/home/a/b/id", True),
        ("/a?c", "/abc", True),
        ("/a[b]c", "/abc", False),
    ],
)
def test_patterns_match_by_component(pattern, path, is_match):
    """One star stays in a directory, two cross; all else stands for itself."""
    assert PathRules([pattern], [], str).permits(path) is is_match


async def test_rows_of_other_paths_are_left_out():
    """What is denied, or links to something denied, does not show, and is counted."""
    rows, table = await answer(
        "SELECT path FROM files_list('/**')", paths=("/etc/**", "/tmp/**"), deny_paths=("/etc/sh*",)
    )
    assert [path for (path,) in rows] == ["/etc/hosts", "/etc/ssh/key"]
    assert table.warnings == 3


async def test_paths_are_checked_when_no_path_is_asked_for():
    """A query that only wants other columns, or a number of rows, is held to the same."""
    rows, _ = await answer("SELECT size FROM files_list('/**')", paths=("/etc/hosts",))
    assert rows == [(0,)]
    rows, _ = await answer("SELECT count(*) FROM files_list('/**')", paths=("/etc/hosts",))
    assert rows == [(1,)]


@pytest.mark.parametrize("argument", ["'/root/*'", "'/ro' || 'ot/*'", "'/etc/shadow'"])
async def test_hopeless_patterns_are_refused_with_a_reason(argument):
    """Also when the pattern is computed while the query runs."""
    with pytest.raises(ForbiddenError, match="not allowed by the policy"):
        await answer(
            f"SELECT * FROM files_list({argument})", paths=("/etc/*",), deny_paths=("/etc/shadow",)
        )


async def test_masked_columns_are_null_in_every_expression():
    """No expression, condition or order gets at the value of a masked column."""
    settings = {"mask": ("*.email",)}
    rows, _ = await answer("SELECT name, email, email || 'x' FROM users", **settings)
    assert rows == [("a", None, None), ("b", None, None)]
    rows, _ = await answer("SELECT name FROM users WHERE email = 'a@x'", **settings)
    assert rows == []


async def test_denied_tables_are_refused_while_running():
    """A query that was installed before its table came is stopped all the same."""
    with pytest.raises(ForbiddenError, match="table users"):
        await answer("SELECT 1 FROM users", deny_tables=("us*",))
    with pytest.raises(ForbiddenError, match="table users"):
        await answer("SELECT 1 FROM users", tables=("sockets",))


async def test_rows_are_limited():
    """The policy's bound is below that of the agent."""
    with pytest.raises(Exception, match="more than 1 rows"):
        await answer("SELECT name FROM users", max_rows=1)


def test_decisions_name_their_reason():
    """What is refused says why; what is allowed says what will be missing."""
    policy = Policy(
        PolicyConfig(deny_tables=("sockets",), mask=("users.email",), min_interval=10.0)
    )
    assert policy.check({"users", "sockets"}).refusal == "table sockets is not allowed"
    refusal = policy.check({"users"}, timedelta(seconds=1)).refusal
    assert refusal == "an interval of 1 s is not allowed; the least is 10 s"
    decision = policy.check({"users"}, timedelta(seconds=10))
    assert decision.is_allowed
    assert decision.notes == ("columns users.email are NULL",)
    assert Policy(PolicyConfig()).is_open
    assert not policy.is_open


def test_allowed_tree_behind_a_link_can_be_seen():
    """A pattern holds for what its fixed part links to, as `/etc` on macOS."""

    def private(path):
        return "/private" + path if path.startswith("/etc") else path

    rules = PathRules(["/etc/*"], ["/etc/shadow"], private)
    assert rules.permits("/etc/hosts")
    assert not rules.permits("/etc/shadow")
    assert not rules.permits("/private/etc/shadow")


QUERY = Query("z/a/1", "SELECT 1", timedelta(seconds=5), Subscription.EVENTS, asker="Zeek a at z")
CONTEXT = Context("H", 0, "1", Change.ADD)
ORDERS = [
    Install(QUERY),
    PublishRows("z/a/1", "/t", "e", CONTEXT, (ResultColumn("t", Type.TIME),), [(10**6,)]),
    Publish("/t", messages.ERROR, (CONTEXT.values(), "no")),
    Publish("/t", messages.HELLO, (CONTEXT.values(), ())),
    Log("info", "x"),
    Cancel("z/a/1"),
]


def test_audit_tells_query_results_errors_and_end():
    """Every query, what was sent for it, and who asked; the rows only in full."""
    assert list(Auditor("off", "z").lines(ORDERS, 0)) == []
    lines = [json.loads(line) for line in Auditor("summary", "z").lines(ORDERS, 0)]
    assert [line["what"] for line in lines] == ["query", "sent", "error", "cancel"]
    assert (lines[0]["asker"], lines[0]["sql"]) == ("Zeek a at z", "SELECT 1")
    assert (lines[1]["rows"], lines[1]["change"]) == (1, "add")
    assert "values" not in lines[1]
    full = [json.loads(line) for line in Auditor("full", "z").lines(ORDERS, 0)]
    assert full[1]["values"] == [{"t": "1970-01-01T00:00:01.000000Z"}]
