"""Differences of a large result against the cost of making one set of its rows.

Each round fetches both results anew from SQLite, as in production: their
strings have no cached hashes. Budget: at most 1.5 times the set where 1 % of
the rows changed, and at most 2 copies of the result in memory.
"""

import gc
import random
import statistics
import sys
import tracemalloc
from collections.abc import Callable
from time import perf_counter

import apsw

from zeek_agent_core.schedule.diff import differences

ROWS, SHARE, ROUNDS = 100_000, 0.01, 9
TIME_BUDGET, MEMORY_BUDGET = 1.5, 2.0

SELECT = "SELECT name, pid, path, size, state FROM rows ORDER BY position"


def database() -> apsw.Connection:
    """Return a database with the rows of a large table."""
    made = apsw.Connection(":memory:")
    made.execute("CREATE TABLE rows (position REAL, name, pid, path, size, state)")
    with made:
        made.executemany(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)",
            (
                (n, f"process-{n}", n, f"/usr/lib/some/where/{n % 977}/file-{n}", n * 17, "running")
                for n in range(ROWS)
            ),
        )
    made.execute("CREATE INDEX by_pid ON rows (pid)")
    return made


def fetch(connection: apsw.Connection) -> list[tuple]:
    """Return the rows, in chunks as the agent does."""
    rows: list[tuple] = []
    cursor = connection.execute(SELECT)
    while chunk := [row for _, row in zip(range(1024), cursor, strict=False)]:
        rows += chunk
    return rows


def in_place(connection: apsw.Connection, chosen: list[int]) -> None:
    """Change one value of the chosen rows."""
    connection.executemany("UPDATE rows SET size = size + 1 WHERE pid = ?", ((n,) for n in chosen))


def scattered(connection: apsw.Connection, chosen: list[int]) -> None:
    """Delete half of the chosen rows, and put new ones behind the other half."""
    half = len(chosen) // 2
    connection.executemany("DELETE FROM rows WHERE pid = ?", ((n,) for n in chosen[:half]))
    connection.executemany(
        "INSERT INTO rows SELECT position + 0.5, name || 'x', ?, path, size, state FROM rows "
        "WHERE pid = ?",
        ((ROWS + n, n) for n in chosen[half:]),
    )


def shuffled(connection: apsw.Connection, chosen: list[int]) -> None:
    """Change the chosen rows and give all of them another order."""
    in_place(connection, chosen)
    connection.execute("UPDATE rows SET position = random()")


Edit = Callable[[apsw.Connection, list[int]], None]


def measure(edit: Edit) -> tuple[float, float]:
    """Return the seconds of the differences and of the set: medians of interleaved rounds."""
    taken: dict[str, list[float]] = {"differences": [], "set": []}
    for number in range(ROUNDS):
        for what in sorted(taken, reverse=number % 2 == 1):
            connection = database()
            old = fetch(connection)
            with connection:
                edit(connection, random.Random(number).sample(range(ROWS), int(ROWS * SHARE)))
            new = fetch(connection)
            gc.collect()
            began = perf_counter()
            made = differences(old, new) if what == "differences" else set(new)
            taken[what].append(perf_counter() - began)
            del made, old, new
    return statistics.median(taken["differences"]), statistics.median(taken["set"])


def memory(edit: Edit) -> float:
    """Return the peak of the differences beyond the old result, in copies of the result.

    The new result is one; what the comparison itself needs comes on top.
    """
    connection = database()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    old = fetch(connection)
    size = tracemalloc.get_traced_memory()[0] - before
    with connection:
        edit(connection, random.Random(1).sample(range(ROWS), int(ROWS * SHARE)))
    tracemalloc.reset_peak()
    new = fetch(connection)
    differences(old, new)
    peak = tracemalloc.get_traced_memory()[1] - before - size
    tracemalloc.stop()
    return peak / size


def main() -> int:
    """Print what was reached; return 1 if a budget is missed."""
    gc.freeze()
    is_good = True
    print(f"differences of {ROWS} rows, {SHARE:.0%} changed, {ROUNDS} rounds")
    for edit, has_budget in ((in_place, True), (scattered, True), (shuffled, False)):
        diff, base = measure(edit)
        copies = memory(edit)
        verdict = "no budget"
        if has_budget:
            is_kept = diff / base <= TIME_BUDGET and copies <= MEMORY_BUDGET
            is_good = is_good and is_kept
            verdict = "kept" if is_kept else "MISSED"
        print(
            f"{edit.__name__:>10}: {diff * 1e3:6.1f} ms, set {base * 1e3:6.1f} ms, "
            f"ratio {diff / base:4.2f} (budget {TIME_BUDGET}); memory beyond the old result "
            f"{copies:4.2f} copies (budget {MEMORY_BUDGET}): {verdict}"
        )
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
