"""What SQL over a table costs, next to plain Python and plain SQLite.

The rows of one generator are read through `Database.execute`, and on the other
side collected by a loop and inserted into an in-memory SQLite table. Both take
turns, so that a busy machine slows both. Exit status 1: over the budget.
"""

import argparse
import asyncio
import gc
import statistics
import sys
from collections.abc import Iterator
from time import perf_counter

import apsw

from zeek_agent_core.api import Column, Host, Row, Snapshot, Type, Where
from zeek_agent_core.sql.database import Database

ROWS = 100_000
REPEATS = 7
BUDGET = 2.0

STATEMENTS = {
    "without SQLite": "SELECT * FROM samples",
    "through SQLite": "SELECT * FROM samples WHERE pid >= 0",
}
"""Statements that only name columns are served directly; any other is SQLite's work."""


class Samples(Snapshot):
    """Rows with ten columns of the usual types."""

    name = "samples"
    columns = (
        Column("name", Type.TEXT, "a name"),
        Column("pid", Type.COUNT, "a number"),
        Column("ppid", Type.COUNT, "a number"),
        Column("path", Type.TEXT, "a path"),
        Column("address", Type.ADDRESS, "an address"),
        Column("size", Type.COUNT, "a size"),
        Column("share", Type.REAL, "a share"),
        Column("since", Type.TIME, "a time"),
        Column("state", Type.ENUM, "a state"),
        Column("parent", Type.TEXT, "a name, or nothing"),
    )
    count = ROWS

    def rows(self, _where: Where) -> Iterator[Row]:
        """Yield the rows."""
        for number in range(self.count):
            yield {
                "name": f"process {number}",
                "pid": number,
                "ppid": number // 2,
                "path": f"/usr/bin/{number % 100}",
                "address": "192.0.2.1",
                "size": number * 4096,
                "share": number / 3,
                "since": 1_700_000_000_000_000 + number,
                "state": "running",
                "parent": None,
            }


async def through_sql(table: Samples, statement: str) -> float:
    """Return the seconds that reading all of *table* through the database takes."""
    async with Database([table]) as database:
        began = perf_counter()
        result = await database.execute(statement)
        taken = perf_counter() - began
    if len(result.rows) != table.count:
        raise SystemExit("the query lost rows")
    return taken


def by_hand(table: Samples) -> float:
    """Return the seconds that collecting the rows and inserting them into SQLite takes."""
    names = [column.name for column in table.columns]
    connection = apsw.Connection(":memory:")
    connection.execute(f"CREATE TABLE samples ({', '.join(names)})")
    insert = f"INSERT INTO samples VALUES ({', '.join(':' + name for name in names)})"
    began = perf_counter()
    rows = []
    for row in table.rows(Where(frozenset(names))):
        rows.append(row)  # noqa: PERF402 - the bare loop is what is measured
    with connection:
        connection.executemany(insert, rows)
    taken = perf_counter() - began
    connection.close()
    return taken


def main() -> int:
    """Measure, print, compare with the budget."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=ROWS)
    options.add_argument("--repeats", type=int, default=REPEATS)
    chosen = options.parse_args()
    table = Samples(Host())
    table.count = chosen.rows
    sql: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    plain = []
    for _ in range(chosen.repeats):
        for name, statement in STATEMENTS.items():
            gc.collect()
            sql[name].append(asyncio.run(through_sql(table, statement)))
        gc.collect()
        plain.append(by_hand(table))
    floor = statistics.median(plain)
    print(f"{chosen.rows} rows of {len(table.columns)} columns, median of {chosen.repeats}")
    print(f"by hand         {floor:.3f} s")
    ratios = [statistics.median(taken) / floor for taken in sql.values()]
    for name, ratio in zip(sql, ratios, strict=True):
        print(f"{name}  {ratio * floor:.3f} s, ratio {ratio:.2f} (budget {BUDGET:.2f})")
    return 0 if max(ratios) <= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
