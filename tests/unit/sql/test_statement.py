"""Queries read tables and compute; all else is refused, with a helpful message."""

import pytest

from tests.support import Beats, fruits, numbers
from zeek_agent_core.api import Host, Type
from zeek_agent_core.errors import (
    ForbiddenError,
    LimitError,
    ParameterError,
    QueryError,
    StatementError,
)
from zeek_agent_core.limits import Limits
from zeek_agent_core.sql.database import Database
from zeek_agent_core.sql.statement import is_blank


@pytest.fixture
def tables():
    """Offer two snapshots and an evented table."""
    return [fruits(), numbers(10), Beats(Host())]


@pytest.mark.parametrize(
    "attack",
    [
        "ATTACH '{path}' AS other",
        "DETACH main",
        "VACUUM INTO '{path}'",
        "VACUUM",
        "CREATE TABLE mine (a)",
        "CREATE TEMP TABLE mine (a)",
        "CREATE TABLE mine AS SELECT * FROM fruits",
        "CREATE VIEW mine AS SELECT 1",
        "CREATE TEMP VIEW mine AS SELECT 1",
        "CREATE TEMP TRIGGER mine AFTER INSERT ON fruits BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE mine USING fts5(a)",
        "CREATE VIRTUAL TABLE mine USING rtree(a, b, c)",
        "CREATE INDEX mine ON fruits(name)",
        "INSERT INTO fruits VALUES ('fig', 1, 'blue')",
        "INSERT INTO sqlite_master VALUES (1, 2, 3, 4, 5)",
        "REPLACE INTO fruits VALUES ('fig', 1, 'blue')",
        "UPDATE fruits SET weight = 1",
        "DELETE FROM fruits",
        "DROP TABLE fruits",
        "DROP TABLE IF EXISTS fruits",
        "ALTER TABLE fruits RENAME TO vegetables",
        "ANALYZE",
        "REINDEX",
        "BEGIN",
        "BEGIN EXCLUSIVE",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "RELEASE a",
        "PRAGMA query_only = 0",
        "PRAGMA writable_schema = 1",
        "PRAGMA temp_store_directory = '{path}'",
        "PRAGMA hard_heap_limit = 0",
        "PRAGMA database_list",
        "PRAGMA table_info(fruits)",
        "SELECT * FROM pragma_database_list",
        "SELECT count(*) FROM pragma_database_list",
        "SELECT 1 FROM pragma_table_info('fruits')",
        "SELECT * FROM pragma_function_list",
        "SELECT * FROM sqlite_master",
        "SELECT count(*) FROM sqlite_master",
        "SELECT * FROM sqlite_schema",
        "SELECT name FROM main.sqlite_schema",
        "SELECT * FROM sqlite_temp_master",
        "SELECT * FROM dbstat",
        "SELECT load_extension('{path}')",
        "SELECT load_extension('{path}', 'init')",
        "SELECT writefile('{path}', 'x')",
        "SELECT readfile('/etc/passwd')",
        "SELECT edit('x')",
        "SELECT fts3_tokenizer('simple', x'00')",
        "SELECT * FROM fruits WHERE load_extension(name)",
        "SELECT (SELECT load_extension('{path}'))",
        "WITH a AS (SELECT load_extension('{path}')) SELECT * FROM a",
        "WITH a AS (SELECT * FROM sqlite_master) SELECT * FROM a",
        "WITH a AS (SELECT 1) DELETE FROM fruits",
        "WITH a AS (SELECT 1) INSERT INTO fruits SELECT * FROM a",
        "EXPLAIN DELETE FROM fruits",
        "EXPLAIN ATTACH '{path}' AS other",
        "SELECT 1; DELETE FROM fruits",
        "SELECT 1; ATTACH '{path}' AS other",
        "SELECT 1;;; SELECT 2",
    ],
)
async def test_attacks_are_refused(attack, tables, tmp_path):
    """Nothing but reading goes; no file appears, and the next query works."""
    path = tmp_path / "written"
    async with Database(tables) as db:
        for run in (db.execute, db.prepare):
            with pytest.raises((ForbiddenError, StatementError)):
                await run(attack.format(path=path))
        assert (await db.execute("SELECT count(*) FROM fruits")).rows == [(4,)]
        assert (await db.execute("SELECT count(*) FROM numbers")).rows == [(10,)]
    assert not list(tmp_path.iterdir())


async def test_a_refusal_says_what_is_not_allowed(tables):
    """The message names the action and the reason."""
    async with Database(tables) as db:
        with pytest.raises(ForbiddenError, match="is not allowed: queries can only read"):
            await db.execute("CREATE TEMP TABLE mine (a)")
        for change in ("CREATE TABLE mine (a)", "DROP TABLE fruits", "ANALYZE"):
            with pytest.raises(ForbiddenError, match="changing the database is not allowed"):
                await db.execute(change)
        with pytest.raises(ForbiddenError, match="the statement returns nothing"):
            await db.execute("REINDEX")
        with pytest.raises(ForbiddenError, match="it is no table of the agent"):
            await db.execute("SELECT * FROM sqlite_master")
        with pytest.raises(ForbiddenError, match=r"load_extension\(\) is not allowed"):
            await db.execute("SELECT load_extension('x')")


@pytest.mark.parametrize("sql", ["", "  \n", ";", "-- nothing", "/* nothing */ ;", "/* open"])
async def test_an_empty_statement_is_an_error(sql, tables):
    """White space and comments are no statement."""
    assert is_blank(sql)
    async with Database(tables) as db:
        for run in (db.execute, db.prepare):
            with pytest.raises(StatementError, match="empty"):
                await run(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1;",
        "SELECT 1 -- the end",
        "SELECT 1; -- the end",
        "/* begin */ SELECT 1 /* end */;;",
        "-- first; second\nSELECT 1",
        "  SELECT 1 \n ; \n",
    ],
)
async def test_comments_around_a_statement_are_fine(sql, tables):
    """A comment or semicolon at the end is no second statement."""
    async with Database(tables) as db:
        assert (await db.execute(sql)).rows == [(1,)]
        assert (await db.prepare(sql)).sql == sql


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("WITH a AS (SELECT name FROM fruits) SELECT count(*) FROM a", [(4,)]),
        ("WITH fruits AS (SELECT 7 AS n) SELECT n FROM fruits", [(7,)]),
        ("WITH fruits AS (SELECT 7 AS n) SELECT count(*) FROM fruits", [(1,)]),
        ("WITH sqlite_x AS (SELECT 7 AS n) SELECT n FROM sqlite_x", [(7,)]),
        ("SELECT value FROM json_each('[1,2]')", [(1,), (2,)]),
        ("SELECT count(*) FROM json_tree('[1,[2]]')", [(4,)]),
        ('SELECT "no column of that name"', [("no column of that name",)]),
        ("SELECT max(number) OVER () FROM numbers LIMIT 1", [(9,)]),
        ("SELECT median(number) FROM numbers", [(4.5,)]),
        ("SELECT name FROM main.fruits LIMIT 1", [("apple",)]),
        ("SELECT NAME FROM FRUITS LIMIT 1", [("apple",)]),
        ("VALUES (1), (2)", [(1,), (2,)]),
        ("SELECT number FROM numbers WHERE number IN (SELECT weight FROM fruits)", [(8,)]),
    ],
)
async def test_reading_in_all_its_forms_is_allowed(sql, rows, tables):
    """Common table expressions, JSON, window functions and values work."""
    async with Database(tables) as db:
        assert (await db.execute(sql)).rows == rows


async def test_explain_shows_a_plan(tables):
    """EXPLAIN of a query neither runs it nor is refused."""
    async with Database(tables) as db:
        assert (await db.execute("EXPLAIN QUERY PLAN SELECT * FROM fruits")).rows
        assert (await db.execute("EXPLAIN SELECT * FROM fruits")).rows
    assert tables[0].asked == []


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("SELECT * FROM friuts", "no such table: friuts (did you mean fruits?)"),
        ("SELECT * FROM main.friuts", "no such table: main.friuts (did you mean fruits?)"),
        ("SELECT wieght FROM fruits", "no such column: wieght (did you mean weight?)"),
        ("SELECT f.nmae FROM fruits f", "no such column: f.nmae (did you mean name, number?)"),
        ("SELECT bsename('/a')", "no such function: bsename (did you mean basename?)"),
        ("SELECT zzz FROM fruits", "no such column: zzz in: SELECT zzz FROM fruits"),
        ("SELECT :a", "the statement has a placeholder, such as ? or :name; write a value"),
        ("SELEKT 1", 'near "SELEKT": syntax error in: SELEKT 1'),
    ],
)
async def test_mistakes_come_with_the_nearest_name(sql, hint, tables):
    """A wrong name is answered with the one that was probably meant."""
    async with Database(tables) as db:
        with pytest.raises(StatementError) as caught:
            await db.execute(sql)
    assert hint in str(caught.value)


async def test_a_long_statement_is_shortened_in_its_message(tables):
    """A message does not repeat kilobytes of SQL."""
    async with Database(tables) as db:
        with pytest.raises(StatementError) as caught:
            await db.execute("SELECT nmae, '" + "x" * 5000 + "' FROM fruits")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("sql", ["SELECT '\udcff'", "SELECT 1\0; DELETE FROM fruits", "SELECT ?"])
async def test_odd_texts_are_refused(sql, tables):
    """Surrogates, NUL bytes and open bindings end in an error of the query."""
    async with Database(tables) as db:
        try:
            rows = (await db.execute(sql)).rows
        except QueryError:
            rows = []
        assert rows in ([], [(None,)])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "+".join(["1"] * 1000),
        "SELECT " + ",".join(["1"] * 1000),
        " UNION ALL ".join(["SELECT 1"] * 200),
        "SELECT " + "(1 + " * 300 + "1" + ")" * 300,
        "SELECT max(" + ",".join(["1"] * 200) + ")",
        "SELECT 'x' LIKE '" + "%" * 2000 + "'",
    ],
)
async def test_oversized_statements_are_refused(sql, tables):
    """Depth, width and number of parts are bounded."""
    async with Database(tables) as db:
        with pytest.raises((StatementError, LimitError)):
            await db.execute(sql)


async def test_the_text_of_a_statement_is_bounded(tables):
    """A statement longer than the bound is refused."""
    async with Database(tables, limits=Limits(sql_bytes=100)) as db:
        with pytest.raises(LimitError):
            await db.execute("SELECT " + " " * 100 + "1")


async def test_types_come_from_declarations(tables):
    """A result column that is a table's column has its type, through aliases and sub-selects."""
    async with Database(tables) as db:
        result = await db.execute(
            "SELECT a.n, a.weight + 0 AS w FROM (SELECT name AS n, weight FROM fruits) AS a"
        )
    assert [(column.name, column.type) for column in result.columns] == [
        ("n", Type.TEXT),
        ("w", None),
    ]


@pytest.mark.parametrize("kind", [ForbiddenError, LimitError, ParameterError, StatementError])
def test_errors_are_of_the_query(kind):
    """Whatever goes wrong is a `QueryError`."""
    assert issubclass(kind, QueryError)
