"""With pushdown, without it, and in plain SQLite: a query has the same rows."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import apsw
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import ALL, table
from zeek_agent_core.api import NONE, Column, Snapshot, Type, Where
from zeek_agent_core.sql.database import Database
from zeek_agent_core.values import sql_type

KINDS = {"t": Type.TEXT, "i": Type.INT, "r": Type.REAL, "b": Type.BLOB, "u": Type.TEXT}
WORDS = st.sampled_from(
    [
        "",
        "a",
        "A",
        "ab",
        "aB",
        "abc",
        "5",
        "05",
        "5.0",
        "1e0",
        " 5",
        "%",
        "_",
        "é",
        "a\nb",
        "é*",
        "[",
    ]
)
INTEGERS = st.sampled_from([-(2**63), -1, 0, 1, 5, 10, 2**53, 2**53 + 1, 2**63 - 1])
REALS = st.sampled_from([-1.5, 0.0, 0.5, 1.0, 5.0, 1e20, float(2**53), float("inf")])
BLOBS = st.sampled_from([b"", b"a", b"5", b"\x00\xff"])
CELLS = {Type.TEXT: WORDS, Type.INT: INTEGERS, Type.REAL: REALS, Type.BLOB: BLOBS}

ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | CELLS[kind] for name, kind in KINDS.items()}),
    max_size=12,
)
VALUES = st.one_of(st.none(), WORDS, INTEGERS, REALS, BLOBS)
NAMES = st.sampled_from(sorted(KINDS))
OPERATORS = st.sampled_from(["=", "<", "<=", ">", ">=", "!=", "IS", "LIKE", "GLOB", "NOT LIKE"])
PATTERNS = st.text("aAb5%_*?[]é", max_size=4)


def literal(value: object) -> str:
    """Return *value* as an SQL literal."""
    return apsw.format_sql_value(value)


TERMS = st.one_of(
    st.builds(lambda n, o, v: f"{{{n}}} {o} {literal(v)}", NAMES, OPERATORS, VALUES),
    st.builds(lambda n, o, v: f"{literal(v)} {o} {{{n}}}", NAMES, OPERATORS, VALUES),
    st.builds(
        lambda n, o, p: f"{{{n}}} {o} {literal(p)}",
        NAMES,
        st.sampled_from(["LIKE", "GLOB"]),
        PATTERNS,
    ),
    st.builds(
        lambda n, vs: f"{{{n}}} IN ({', '.join(map(literal, vs))})",
        NAMES,
        st.lists(VALUES, max_size=4),
    ),
    st.builds(
        lambda n, a, b: f"{{{n}}} BETWEEN {literal(a)} AND {literal(b)}", NAMES, VALUES, VALUES
    ),
    st.builds(lambda n, v: f"{{{n}}} = {literal(v)} COLLATE NOCASE", NAMES, VALUES),
    st.builds(lambda n, m: f"{{{n}}} = {{{m}}}", NAMES, NAMES),
    st.builds(lambda n: f"{{{n}}} IS NULL", NAMES),
)
CONDITIONS = st.recursive(
    TERMS,
    lambda inner: (
        st.builds(
            lambda a, word, b: f"({a} {word} {b})", inner, st.sampled_from(["AND", "OR"]), inner
        )
        | st.builds(lambda a: f"NOT ({a})", inner)
    ),
    max_leaves=4,
)
BARE = {name: name for name in KINDS}


def strict(rows: list[dict[str, object]], name: str = "things") -> Snapshot:
    """Return a table that produces no row which it is allowed to leave out."""

    def produce(where: Where) -> Iterator[dict[str, object]]:
        return (row for row in rows if all(wanted(where, name, row[name]) for name in KINDS))

    columns = [Column(n, kind, "a value", pushdown=ALL) for n, kind in KINDS.items()]
    return table(produce, name, columns)


def wanted(where: Where, name: str, value: object) -> bool:
    """Return whether a row with *value* could be in the result, by what *where* says."""
    values, prefix = where.values(name), where.prefix(name)
    low, high = where.low(name), where.high(name)
    limited = not (values is None and low is None and high is None)
    if value is None:
        return not limited and prefix is None
    if values is not None and value not in values:
        return False
    if (low is not None and value < low) or (high is not None and value > high):
        return False
    if prefix is None or not isinstance(value, str):
        return True
    text, head = (
        (value.lower(), prefix.text.lower()) if prefix.ignore_case else (value, prefix.text)
    )
    return text.startswith(head)


def plain(rows: list[dict[str, object]], sql: str, *names: str) -> Counter:
    """Return what SQLite says to *sql* over tables of its own."""
    connection = apsw.Connection(":memory:")
    columns = ", ".join(f"{name} {sql_type(kind)}" for name, kind in KINDS.items())
    for name in names:
        connection.execute(f"CREATE TABLE {name} ({columns})")
        insert = f"INSERT INTO {name} VALUES ({', '.join(f':{column}' for column in KINDS)})"
        connection.executemany(insert, rows)
    found = Counter(connection.execute(sql))
    connection.close()
    return found


def ours(tables: list[Snapshot], *statements: str) -> list[Counter]:
    """Return the rows of each statement over *tables*."""

    async def run() -> list[Counter]:
        async with Database(tables) as db:
            return [Counter((await db.execute(sql)).rows) for sql in statements]

    return asyncio.run(run())


@settings(max_examples=200, deadline=None)
@given(ROWS, CONDITIONS)
def test_conditions_select_the_same_rows(rows, condition):
    """With pushdown, without, and in SQLite itself, a condition holds for the same rows."""
    told = f"SELECT * FROM things WHERE {condition.format_map(BARE)}"
    free = [Column(name, kind, "a value", pushdown=NONE) for name, kind in KINDS.items()]
    (pushed,) = ours([strict(rows)], told)
    (ignored,) = ours([table(rows, "things", free)], told)
    assert pushed == ignored == plain(rows, told, "things")


@settings(max_examples=80, deadline=None)
@given(ROWS, NAMES, st.sampled_from(["=", "<", ">=", "LIKE"]), NAMES, CONDITIONS, st.data())
def test_joins_pair_the_same_rows(  # noqa: PLR0917 - hypothesis fills them in
    rows, left, operator, right, condition, data
):
    """Inner and outer joins over columns of all types agree with SQLite."""
    kind = data.draw(st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]))
    where = condition.format_map({name: f"a.{name}" for name in KINDS})
    sql = (
        f"SELECT a.*, b.* FROM things a {kind} others b ON a.{left} {operator} b.{right} "
        f"WHERE {where}"
    )
    (pushed,) = ours([strict(rows), strict(rows, "others")], sql)
    assert pushed == plain(rows, sql, "things", "others")


@settings(max_examples=80, deadline=None)
@given(ROWS, NAMES, NAMES, CONDITIONS)
def test_groups_and_orders_agree(rows, group, order, condition):
    """Grouping, DISTINCT and ORDER BY with LIMIT give what SQLite gives."""
    where = condition.format_map(BARE)
    statements = [
        f"SELECT {group}, count(*), max({order}) FROM things WHERE {where} GROUP BY {group}",
        f"SELECT DISTINCT {group} FROM things WHERE {where}",
        f"SELECT {order} FROM things WHERE {where} ORDER BY {order} LIMIT 3",
        f"SELECT count(*) FROM things WHERE {group} IN (SELECT {order} FROM things WHERE {where})",
    ]
    found = ours([strict(rows)], *statements)
    assert found == [plain(rows, sql, "things") for sql in statements]
