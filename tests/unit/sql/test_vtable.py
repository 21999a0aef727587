"""What tables are told, and what becomes of what they yield."""

from collections.abc import Iterator

import pytest

from tests.support import ALL, FRUIT_ROWS, FRUITS, echo, fruits, numbers, table
from zeek_agent_core.api import (
    EQ,
    PREFIX,
    RANGE,
    Column,
    ParameterError,
    Port,
    Prefix,
    TableError,
    Type,
)
from zeek_agent_core.errors import StatementError
from zeek_agent_core.sql.database import Database
from zeek_agent_core.sql.vtable import declaration


async def asked(sql: str):
    """Return the `Where` of the first scan of `fruits` that *sql* causes."""
    source = fruits()
    async with Database([source, numbers(3)]) as db:
        await db.execute(sql)
    return source.asked[0]


def test_a_declaration_hides_parameters():
    """In SQL, parameters are hidden columns."""
    sql = declaration(table((), "t", (*FRUITS[:2], Column("_p", Type.REAL, "p", default=1.5))))
    assert sql == 'CREATE TABLE "t" ("name" TEXT, "weight" INTEGER, "_p" REAL HIDDEN)'


AGED = (*FRUITS[:1], Column("weight", Type.COUNT, "in grams", EQ, aliases=("mass", "load")))


def test_an_alias_is_declared_hidden():
    """In SQL, an older name of a column is a hidden column behind all others."""
    sql = declaration(table((), "t", (*AGED, FRUITS[2])))
    assert sql == (
        'CREATE TABLE "t" ("name" TEXT, "weight" INTEGER, "color" TEXT, '
        '"mass" INTEGER HIDDEN, "load" INTEGER HIDDEN)'
    )


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT * FROM fruits", [("cherry", 8)]),
        ("SELECT name, mass FROM fruits", [("cherry", 8)]),
        ("SELECT max(load) + weight FROM fruits", [(16,)]),
        ("SELECT name FROM fruits WHERE mass = 8", [("cherry",)]),
    ],
)
async def test_an_alias_stands_for_its_column(sql, rows):
    """Queries read a column by any of its names, and the table hears of the real one only."""
    source = table([{"name": "cherry", "weight": 8}], columns=AGED)
    async with Database([source]) as db:
        result = await db.execute(sql)
    assert result.rows == rows
    assert source.asked[0].columns <= {"name", "weight"}
    assert set(source.asked[0].allowed) == ({"weight"} if "WHERE" in sql else set())


async def test_a_result_has_the_name_that_was_asked_for():
    """A column read by an older name keeps that name, and its own type."""
    async with Database([table([], columns=AGED)]) as db:
        (column,) = (await db.execute("SELECT mass FROM fruits")).columns
    assert (column.name, column.type) == ("mass", Type.COUNT)


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT name FROM fruits", {"name"}),
        ("SELECT count(*) FROM fruits", set()),
        ("SELECT color FROM fruits WHERE weight > 1 ORDER BY name", {"color", "weight", "name"}),
        ("SELECT * FROM fruits", {"name", "weight", "color"}),
        ("SELECT 1 FROM fruits GROUP BY color", {"color"}),
    ],
)
async def test_the_columns_used_are_told(sql, columns):
    """A table knows which columns the query looks at."""
    where = await asked(sql)
    assert where.columns == columns
    assert where.wants("name", "color") == bool(columns & {"name", "color"})


async def test_columns_past_the_63rd_are_told():
    """SQLite lumps the columns after the 63rd together: all of them count as used."""
    columns = [Column(f"c{at}", Type.INT, "a number") for at in range(70)]
    source = table([{"c68": 7}], "wide", columns)
    async with Database([source]) as db:
        assert (await db.execute("SELECT c68 FROM wide")).rows == [(7,)]
        await db.execute("SELECT c1 FROM wide")
    assert source.asked[0].wants("c68")
    assert source.asked[1].columns == {"c1"}


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("name = 'apple'", {"apple"}),
        ("'apple' = name", {"apple"}),
        ("name IN ('apple', 'date', NULL)", {"apple", "date"}),
        ("name = 'apple' AND name IN ('apple', 'date')", {"apple"}),
        ("name = NULL", set()),
        ("name IN (SELECT 'fig' UNION SELECT 'date')", None),
        ("name IN (SELECT 'fig' WHERE false)", None),
        ("name IN ('fig') AND weight IN (8, 9)", {"fig"}),
        ("name = 'apple' COLLATE NOCASE", None),
        ("name = 5", None),
        ("+name = 'apple'", None),
        ("name != 'apple'", None),
        ("name IS NOT NULL", None),
        ("name = 'apple' OR color = 'red'", None),
    ],
)
async def test_equality_is_told(condition, wanted):
    """`=` and `IN` reach the table; what SQLite compares differently does not."""
    where = await asked(f"SELECT name FROM fruits WHERE {condition}")
    assert where.values("name") == wanted
    assert where.equal("name") == (next(iter(wanted)) if wanted and len(wanted) == 1 else None)


@pytest.mark.parametrize(
    ("literal", "values"),
    [
        ("8", {8}),
        ("'8'", {8}),
        ("' 8 '", {8}),
        ("8.0", {8}),
        ("'8.0'", {8}),
        ("8.5", {8.5}),
        ("'eight'", set()),
        ("x'38'", {b"8"}),
    ],
)
async def test_numbers_are_told_as_the_column_holds_them(literal, values):
    """A number given as text counts as SQLite would compare it."""
    where = await asked(f"SELECT name FROM fruits WHERE weight = {literal}")
    assert where.values("weight") == values


@pytest.mark.parametrize(
    ("condition", "low", "high"),
    [
        ("weight > 5", 5, None),
        ("weight >= 5 AND weight > 9", 9, None),
        ("weight < 5.5", None, 5.5),
        ("weight BETWEEN 2 AND 7", 2, 7),
        ("7 >= weight AND weight <= 3", None, 3),
        ("weight > 'text'", None, None),
        ("weight < NULL", None, None),
    ],
)
async def test_ranges_are_told(condition, low, high):
    """The tightest bounds reach the table, ends included."""
    where = await asked(f"SELECT name FROM fruits WHERE {condition}")
    assert (where.low("weight"), where.high("weight")) == (low, high)


@pytest.mark.parametrize(
    ("condition", "prefix"),
    [
        ("name LIKE 'ap%'", Prefix("ap", ignore_case=True)),
        ("name LIKE 'a_p%'", Prefix("a", ignore_case=True)),
        ("name LIKE 'apple'", Prefix("apple", ignore_case=True)),
        ("name GLOB 'ap*'", Prefix("ap", ignore_case=False)),
        ("name GLOB '[ab]*'", None),
        ("name LIKE '%e'", None),
        ("name LIKE 'a!_%' ESCAPE '!'", None),
        ("name NOT LIKE 'ap%'", None),
        ("name LIKE NULL", None),
        ("'apple' LIKE name", None),
    ],
)
async def test_prefixes_are_told(condition, prefix):
    """Fixed text before the first wildcard reaches the table."""
    assert (await asked(f"SELECT 1 FROM fruits WHERE {condition}")).prefix("name") == prefix


async def test_only_conditions_that_a_column_asked_for_are_told():
    """A column without pushdown hears of nothing."""
    where = await asked("SELECT 1 FROM fruits WHERE color = 'red' AND color LIKE 'r%'")
    assert where.values("color") is None
    assert where.prefix("color") is None


async def test_a_join_tells_each_row():
    """The inner table of a join is asked for one value at a time."""
    left = table([{"number": 8}, {"number": 120}], "wanted", (Column("number", Type.INT, "n"),))
    right = fruits()
    async with Database([left, right]) as db:
        result = await db.execute(
            "SELECT name FROM wanted JOIN fruits ON weight = number ORDER BY name"
        )
    assert result.rows == [("banana",), ("cherry",), ("date",)]
    assert [where.values("weight") for where in right.asked] == [{8}, {120}]


def filtering(where) -> Iterator[dict[str, object]]:
    """Yield the fruits that *where* wants and no other."""
    for row in FRUIT_ROWS:
        if all(
            where.values(name) is None or row[name] in where.values(name)
            for name in ("name", "weight")
        ):
            yield row


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        (
            "SELECT name FROM fruits WHERE name = 'apple' OR weight = 8 ORDER BY name",
            [("apple",), ("cherry",), ("date",)],
        ),
        (
            "SELECT name FROM fruits WHERE name = 'date' OR weight = 8 ORDER BY name",
            [("cherry",), ("date",)],
        ),
        (
            (
                "SELECT a.number, name FROM numbers a RIGHT JOIN fruits ON weight = a.number + 6 "
                "ORDER BY name"
            ),
            [(None, "apple"), (None, "banana"), (2, "cherry"), (2, "date")],
        ),
        (
            (
                "SELECT a.name, b.name FROM fruits a FULL JOIN fruits b "
                "ON a.weight = b.weight AND a.name = 'date' ORDER BY 1, 2"
            ),
            [
                (None, "apple"),
                (None, "banana"),
                ("apple", None),
                ("banana", None),
                ("cherry", None),
                ("date", "cherry"),
                ("date", "date"),
            ],
        ),
    ],
)
async def test_rows_keep_their_identity_in_all_scans(sql, rows):
    """Scans that differ by pushdown neither lose nor repeat rows."""
    async with Database([table(filtering), numbers(3)]) as db:
        assert (await db.execute(sql)).rows == rows


async def test_equal_rows_are_all_there():
    """Identical rows count as often as the table yields them."""
    rows = [{"name": "apple", "weight": 8}] * 3
    async with Database([table(rows)]) as db:
        sql = "SELECT name FROM fruits WHERE name = 'apple' OR weight = 8"
        assert (await db.execute(sql)).rows == [("apple",)] * 3


# Parameters


REQUIRED = Column("_path", Type.TEXT, "a path")
COUNT = Column("_count", Type.COUNT, "a count", default=3)
REAL = Column("_share", Type.REAL, "a share", default=0.5)
FLAG = Column("_flag", Type.BOOL, "a flag", default=0)


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT shown FROM echo('/etc')", ["['/etc', 3]"]),
        ("SELECT shown FROM echo('/etc', 5)", ["['/etc', 5]"]),
        ("SELECT shown FROM echo WHERE _path = '/etc'", ["['/etc', 3]"]),
        ("SELECT shown FROM echo WHERE _count = 7 AND _path = '/etc'", ["['/etc', 7]"]),
        ("SELECT shown FROM echo(x'2f657463')", ["['/etc', 3]"]),
        ('SELECT shown FROM echo("/etc")', ["['/etc', 3]"]),
        ("SELECT shown FROM echo WHERE _path IN ('a', 'b')", ["['a', 3]", "['b', 3]"]),
        ("SELECT shown FROM echo WHERE _path = 'a' OR _path = 'b'", ["['a', 3]", "['b', 3]"]),
        ("SELECT shown FROM echo WHERE _path = 'a' AND _path = 'b'", []),
        ("SELECT shown FROM echo('a') WHERE _count != 3", []),
        (
            "SELECT shown FROM (SELECT 'a' AS p UNION ALL SELECT 'b') JOIN echo ON _path = p",
            ["['a', 3]", "['b', 3]"],
        ),
        ("SELECT shown FROM (SELECT 'a' AS p), echo(p)", ["['a', 3]"]),
    ],
)
async def test_arguments_reach_the_table(sql, shown):
    """Parameters come as arguments or conditions, one call for each value of `IN`."""
    async with Database([echo(REQUIRED, COUNT)]) as db:
        assert (await db.execute(sql)).rows == [(text,) for text in shown]


async def test_parameters_are_hidden_but_can_be_read():
    """`SELECT *` leaves parameters out; by name they show their argument."""
    async with Database([echo(REQUIRED, COUNT)]) as db:
        assert (await db.execute("SELECT * FROM echo('a')")).rows == [("['a', 3]",)]
        assert (await db.execute("SELECT _path, _count FROM echo('a')")).rows == [("a", 3)]


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT shown FROM echo", "[0.5, 0]"),
        ("SELECT shown FROM echo(2)", "[2.0, 0]"),
        ("SELECT shown FROM echo(0.25, 1)", "[0.25, 1]"),
        ("SELECT shown FROM echo WHERE _flag = true", "[0.5, 1]"),
    ],
)
async def test_whole_numbers_are_reals_and_bools_too(sql, shown):
    """SQL has no booleans and writes 2 for 2.0: both are accepted."""
    async with Database([echo(REAL, FLAG)]) as db:
        rows = (await db.execute(sql)).rows
    assert rows == [(shown,)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM echo", r"'_path' is missing; write for example echo\(path\)"),
        ("SELECT * FROM echo WHERE _path != 'a'", "'_path' is missing"),
        ("SELECT * FROM echo(5)", "'_path' takes text, not int"),
        ("SELECT * FROM echo(NULL)", "'_path' takes text, not NULL"),
        ("SELECT * FROM echo('a', 'b')", "'_count' takes count, not str"),
        ("SELECT * FROM echo('a', 1.5)", "'_count' takes count, not float"),
        ("SELECT * FROM echo('a', NULL)", "'_count' takes count, not NULL"),
    ],
)
async def test_wrong_arguments_are_refused(sql, message):
    """A missing argument or one of another type is an error of the query."""
    async with Database([echo(REQUIRED, COUNT)]) as db:
        with pytest.raises(ParameterError, match=message):
            await db.execute(sql)


async def test_all_missing_parameters_are_named():
    """The message lists every missing parameter."""
    async with Database([echo(REQUIRED, Column("_user", Type.TEXT, "a user"))]) as db:
        with pytest.raises(ParameterError, match="'_path, _user' is missing"):
            await db.prepare("SELECT * FROM echo")


async def test_too_many_arguments_are_refused():
    """More arguments than parameters do not compile."""
    async with Database([echo(COUNT)]) as db:
        with pytest.raises(StatementError, match="too many arguments"):
            await db.execute("SELECT * FROM echo(1, 2)")


# Values


async def test_values_become_what_sqlite_stores():
    """Every type goes through in its stored form; an absent key is NULL."""
    columns = (
        Column("text", Type.TEXT, "t"),
        Column("blob", Type.BLOB, "b"),
        Column("flag", Type.BOOL, "f"),
        Column("port", Type.PORT, "p"),
        Column("items", Type.SET, "s", element=Type.COUNT),
        Column("absent", Type.TEXT, "a"),
    )
    row = {"text": b"\xff", "blob": "x", "flag": True, "port": Port(80, "tcp"), "items": {2, 1}}
    async with Database([table([row], "all_kinds", columns)]) as db:
        rows = (await db.execute("SELECT * FROM all_kinds")).rows
    stored = ("\\xff", b"x", 1, '{"port":80,"proto":"tcp"}', '{"elem":"count","value":[1,2]}', None)
    assert rows == [stored]


def start(_where):
    """Fail before the first row."""
    raise RuntimeError("no fruits today")


def middle(_where):
    """Fail after the first row."""
    yield FRUIT_ROWS[0]
    raise RuntimeError("rotten")


def denied(_where):
    """Be refused by the system."""
    yield FRUIT_ROWS[0]
    raise PermissionError(13, "Permission denied", "/proc/fruits")


def own(_where):
    """Say what is wrong."""
    yield FRUIT_ROWS[0]
    raise TableError("fruits", "the basket is empty")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (start, "table fruits: RuntimeError: no fruits today"),
        (middle, "table fruits: RuntimeError: rotten"),
        (denied, "table fruits: cannot read /proc/fruits: Permission denied"),
        (own, "table fruits: the basket is empty"),
        ([("apple",)], "table fruits: TypeError: rows must be mappings, not tuple"),
        ([FRUIT_ROWS[0], None], "table fruits: TypeError: rows must be mappings"),
        ([FRUIT_ROWS[0], "apple"], "table fruits: TypeError: rows must be mappings"),
        ([{"nmae": "apple"}], "table fruits: KeyError: row with undeclared columns: nmae"),
        ([{"name": 5}], "table fruits: TypeError: wrong value in column name (text)"),
        ([{"weight": "5"}], "table fruits: TypeError: wrong value in column weight (count)"),
        ([{"weight": 1.5}], "table fruits: TypeError: wrong value in column weight (count)"),
        ([{"weight": 1 << 63}], "table fruits: OverflowError"),
        ([{"weight": -(1 << 200)}], "table fruits: OverflowError"),
        ([{"name": object()}], "table fruits: TypeError: wrong value in column name (text)"),
        (lambda _where: 5, "table fruits: TypeError"),
        (lambda _where: None, "table fruits: TypeError"),
    ],
)
async def test_a_failing_table_ends_its_query_alone(rows, message):
    """The error names the table and the reason; other queries are not touched."""
    async with Database([table(rows), numbers(3)]) as db:
        with pytest.raises(TableError) as caught:
            await db.execute("SELECT * FROM fruits")
        assert (await db.execute("SELECT count(*) FROM numbers")).rows == [(3,)]
        await db.execute("SELECT 1")
        assert db.stats["fruits"].errors == 1
    assert message in str(caught.value)


async def test_undecodable_text_gets_through():
    """Surrogates, as file names have them, are shown as escapes."""
    async with Database([table([{"name": "a\udcff", "color": "b\ud800"}])]) as db:
        rows = (await db.execute("SELECT name, length(name) FROM fruits")).rows
        assert rows == [("a\\xff", 5)]
        rows = (await db.execute("SELECT color FROM fruits")).rows
        assert rows == [("b\\xed\\xa0\\x80",)]


async def test_a_row_id_is_the_same_for_the_same_row():
    """Row ids tell rows apart, and are the same when a query asks again."""
    async with Database([fruits()]) as db:
        first = (await db.execute("SELECT rowid FROM fruits")).rows
        again = (await db.execute("SELECT a.rowid FROM fruits a")).rows
    assert len(set(first)) >= 1
    assert first == again


def test_pushdown_flags_combine():
    """The three kinds of conditions are independent."""
    assert ALL & EQ
    assert ALL & RANGE
    assert not EQ & RANGE


async def test_hidden_columns():
    """A hidden column is not part of `*`, and can be had by its name."""
    columns = (Column("a", Type.TEXT, "shown"), Column("b", Type.TEXT, "not shown", hidden=True))
    source = table([{"a": "x", "b": "y"}], "pairs", columns)
    async with Database([source]) as db:
        assert (await db.execute("SELECT * FROM pairs")).rows == [("x",)]
        assert (await db.execute("SELECT b, a FROM pairs")).rows == [("y", "x")]


NEEDY = (
    Column("path", Type.TEXT, "must be given", pushdown=EQ | PREFIX, mandatory=True),
    Column("size", Type.COUNT, "a size"),
)


def needy():
    """Return a table that echoes the paths it is asked for."""
    return table(
        lambda where: [{"path": p, "size": len(p)} for p in where.values("path") or ("/x/y",)],
        "needy",
        NEEDY,
    )


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("path = '/a'", 1),
        ("path IN ('/a', '/b')", 2),
        ("path LIKE '/x/%'", 1),
        ("path = '/a' OR path LIKE '/x/%'", 2),
        ("path IN (SELECT '/' || name FROM fruits)", 4),
        ("path = (SELECT '/' || name FROM fruits LIMIT 1) AND size > 0", 1),
    ],
)
async def test_mandatory_columns(condition, expected):
    """A table whose column must have a condition is read only with one."""
    async with Database([needy(), fruits()]) as db:
        rows = (await db.execute(f"SELECT * FROM needy WHERE {condition}")).rows
    assert len(rows) == expected


@pytest.mark.parametrize("order", ["needy n JOIN fruits f", "fruits f JOIN needy n"])
async def test_mandatory_columns_in_joins(order):
    """In a join the table that needs a condition comes after the one that gives it."""
    sql = f"SELECT n.size FROM {order} ON n.path = '/' || f.name"
    async with Database([needy(), fruits()]) as db:
        assert len((await db.execute(sql)).rows) == len(FRUIT_ROWS)


async def test_one_of_several_mandatory_columns():
    """Where several columns are mandatory, a condition on one of them is enough."""
    columns = (*NEEDY, Column("folder", Type.TEXT, "or this", pushdown=EQ, mandatory=True))
    async with Database([table([{"path": "/a", "folder": "/"}], "needy", columns)]) as db:
        for condition in ("path = '/a'", "folder = '/'", "folder = '/' AND path = '/a'"):
            assert len((await db.execute(f"SELECT * FROM needy WHERE {condition}")).rows) == 1
        with pytest.raises(ParameterError, match="needs a condition on path or folder; write"):
            await db.execute("SELECT * FROM needy WHERE size = 1")


@pytest.mark.parametrize("rest", ["", "WHERE size = 2", "WHERE path = '/a' OR size = 2"])
async def test_without_a_mandatory_condition(rest):
    """Without the condition the error says which one is missing."""
    async with Database([needy()]) as db:
        with pytest.raises(ParameterError, match="table needy needs a condition on path; write"):
            await db.execute(f"SELECT * FROM needy {rest}")
        assert (await db.execute("SELECT 1")).rows == [(1,)]


async def test_patterns_arrive_whole():
    """A table is told each pattern as the statement has it, and how it begins."""
    source = fruits()
    sql = "SELECT * FROM fruits WHERE name LIKE '%an%' AND name GLOB 'b*a' AND name LIKE 'B_n%'"
    async with Database([source]) as db:
        assert len((await db.execute(sql)).rows) == 1
    (where,) = source.asked
    assert set(where.patterns["name"]) == {("LIKE", "%an%"), ("GLOB", "b*a"), ("LIKE", "B_n%")}


async def test_what_is_kept_lasts_for_a_statement():
    """What a table keeps is there for all scans of one statement, and for no other."""
    seen = []

    def rows(where):
        where.kept["scans"] = where.kept.get("scans", 0) + 1
        seen.append(where.kept["scans"])
        yield from FRUIT_ROWS

    async with Database([table(rows)]) as db:
        await db.execute("SELECT * FROM fruits a, fruits b WHERE a.color = b.color || ''")
        first, seen = seen, []
        await db.execute("SELECT name FROM fruits")
    assert first == list(range(1, len(first) + 1))
    assert len(first) > 1
    assert seen == [1]


async def test_scans_that_are_costly_to_begin():
    """A table whose scans are costly to begin is scanned once, the other one for each row."""
    columns = (Column("id", Type.COUNT, "an id", pushdown=EQ),)
    near, far = (table([{"id": n} for n in range(3)], name, columns) for name in ("near", "far"))
    type(far).scan_cost = 10_000.0
    for order in ("near JOIN far", "far JOIN near"):
        async with Database([near, far]) as db:
            await db.execute(f"SELECT * FROM {order} USING (id)")
    assert len(far.asked) == 2
    assert len(near.asked) == 6
