"""Tests of made-up rows, whose values tests of Zeek packages rely on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.host import Host
from zeek_agent_core.mock import mock, value
from zeek_agent_core.sql.database import Database
from zeek_agent_core.table import Column, Evented, Snapshot
from zeek_agent_core.values import Port, Type, to_sql

S = 1_000_000_000

PROCESSES = (
    ("name", Type.TEXT), ("pid", Type.COUNT), ("ppid", Type.COUNT), ("uid", Type.COUNT),
    ("gid", Type.COUNT), ("ruid", Type.COUNT), ("rgid", Type.COUNT), ("priority", Type.TEXT),
    ("startup", Type.INTERVAL), ("flag", Type.BOOL), ("mtime", Type.TIME), ("share", Type.REAL),
)  # fmt: skip


class Processes(Snapshot):
    """Processes, declared as the older agent did."""

    name = "processes"
    columns = tuple(Column(name, kind, name) for name, kind in PROCESSES)


class Logs(Evented):
    """Messages of the system's log."""

    name = "system_logs_events"
    columns = (
        Column("time", Type.TIME, "when"),
        Column("process", Type.TEXT, "who"),
        Column("level", Type.TEXT, "how bad"),
        Column("message", Type.TEXT, "what"),
    )


class Lines(Snapshot):
    """Lines of files; it has a parameter."""

    name = "files_lines"
    columns = (
        Column("_pattern", Type.TEXT, "which files"),
        Column("path", Type.TEXT, "file"),
        Column("number", Type.COUNT, "line"),
        Column("content", Type.BLOB, "text"),
    )


async def select(table, sql, times=1):
    """Run *sql* on the stand-in of *table*; return the rows of each run."""
    async with Database([mock(table)]) as database:
        return [(await database.execute(sql)).rows for _ in range(times)]


async def test_first_process():
    """The first row has the values that the stock packages' tests expect."""
    [rows] = await select(Processes(Host()), "SELECT * FROM processes")
    assert len(rows) == 5
    assert rows[0] == (
        "text_a_a", 101, 102, 103, 104, 105, 106, "text_a_h", 18 * S, 0,
        (1646252056 + 100 + 10) * 1_000_000, 11.2,
    )  # fmt: skip
    assert rows[1][:2] == ("text_b_a", 201)
    assert rows[1][9] == 1
    assert rows[4][0] == "text_e_a"


async def test_snapshots_stay_equal():
    """A snapshot table has the same rows each time, so that differences are empty."""
    first, second = await select(Processes(Host()), "SELECT * FROM processes", 2)
    assert first == second


async def test_events_overlap():
    """An evented table has three rows each time, of which the first was the last before."""
    runs = await select(Logs(Host()), "SELECT message FROM system_logs_events", 3)
    letters = [[row[0] for row in rows] for rows in runs]
    assert letters == [
        ["text_a_d", "text_b_d", "text_c_d"],
        ["text_c_d", "text_d_d", "text_e_d"],
        ["text_e_d", "text_f_d", "text_g_d"],
    ]


async def test_parameters_count():
    """Parameters take part in the numbering of columns."""
    [rows] = await select(Lines(Host()), "SELECT path, number, content FROM files_lines('x')")
    assert rows[0] == ("text_a_b", 102, b"blob_a_d")


@pytest.mark.parametrize(
    ("kind", "seed", "position", "expected"),
    [
        (Type.INT, 1, 3, 203),
        (Type.ENUM, 0, 2, "enum_a_c"),
        (Type.REAL, 1, 4, 20.5),
        (Type.BOOL, 3, 0, True),
        (Type.ADDRESS, 0, 4, "192.168.1.5"),
        (Type.ADDRESS, 0, 6, "192.168.1.7"),
        (Type.PORT, 0, 1, Port(10001, "icmp")),
        (Type.PORT, 1, 2, Port(20002, "unknown")),
        (Type.NULL, 1, 1, None),
        (Type.SET, 0, 0, ["elem_a_M", "elem_a_N", "elem_a_R"]),
        (Type.VECTOR, 1, 1, ["elem_b_N", "elem_b_O", "elem_b_S"]),
        (Type.RECORD, 0, 0, [(Type.TEXT, f"elem_a_{letter}") for letter in "MNR"]),
    ],
)
def test_values(kind, seed, position, expected):
    """Each type has its own values, made from the row's number and the column's."""
    assert value(Column("c", kind, "c"), seed, position) == expected


@given(
    st.sampled_from(sorted(set(Type) - {Type.NULL})),
    st.sampled_from([None, Type.TEXT, Type.COUNT, Type.ADDRESS]),
    st.integers(0, 100_000),
    st.integers(0, 40),
)
def test_values_can_be_stored(kind, element, seed, position):
    """However long an agent runs, its made-up values are ones of their type."""
    made = value(Column("c", kind, "c", element=element), seed, position)
    assert to_sql(kind, made, element) is not None
    if kind is Type.ADDRESS:
        assert 1 <= int(made.rpartition(".")[2]) <= 255
    if kind is Type.PORT:
        assert made.number < 65_536


def test_declaration():
    """A stand-in declares what the table does."""
    table = mock(Logs(Host()))
    assert isinstance(table, Snapshot)
    assert (table.name, table.columns, table.summary()) == (
        "system_logs_events", Logs.columns, "Messages of the system's log.",
    )  # fmt: skip
