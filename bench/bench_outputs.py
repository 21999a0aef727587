"""Microseconds per row that each output takes, beside `json.dumps` of the same rows.

Run as ``python bench/bench_outputs.py [rows]``; the default is 100,000.
"""

import gc
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from zeek_agent_core.local.outputs import make_sink
from zeek_agent_core.local.pack import default_pack
from zeek_agent_core.local.sink import in_parts
from zeek_agent_core.query import Result, ResultColumn
from zeek_agent_core.values import Type

ROUNDS = 5
NAMES = ("name", "pid", "uid", "gid", "ppid", "priority", "startup")
KINDS = (Type.TEXT, *[Type.COUNT] * 4, Type.TEXT, Type.INTERVAL)


def rows_of(count: int, word: str) -> list[tuple]:
    """Return *count* rows like those of `processes`."""
    return [
        (f"{word}-{n}", n, n % 100, n % 7, n // 2, str(n % 40), 1_795_262_400_000_000_000 + n)
        for n in range(count)
    ]


def timed(work) -> float:
    """Return the median of the seconds that *work* takes."""
    taken = []
    for _ in range(ROUNDS):
        gc.collect()
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def main() -> None:
    """Print a line for each output and kind of text."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    query = next(q for q in default_pack("linux") if q.output == "zeek-agent-processes")
    columns = tuple(map(ResultColumn, NAMES, KINDS))
    who = {"hid": "H1234567890", "host": "host.example"}
    for label, word in (("plain", "proc"), ("utf-8", "prozeß"), ("escaped", "a\\b\tc")):
        rows = rows_of(count, word)
        result = Result(columns, added=rows, collected=time.time())
        floor = timed(
            lambda rows=rows: [json.dumps(dict(zip(NAMES, r, strict=True))) for r in rows]
        )
        print(f"{label:8} json.dumps    {floor / count * 1e6:6.2f} us/row")
        with tempfile.TemporaryDirectory() as home, Path(os.devnull).open("w") as null:
            for name, kind, place in (
                ("zeek", "zeek", {"directory": Path(home)}),
                ("json files", "json", {"directory": Path(home)}),
                ("json stream", "json", {"stream": null}),
                ("pretty", "pretty", {"stream": null}),
            ):
                sink = make_sink(kind, **place, **who)
                taken = timed(lambda sink=sink, result=result: sink.write(query, result))
                longest = 0.0
                for part in in_parts(result):
                    begun = time.perf_counter()
                    sink.write(query, part)
                    longest = max(longest, time.perf_counter() - begun)
                sink.close()
                print(
                    f"{label:8} {name:12} {taken / count * 1e6:7.2f} us/row, "
                    f"{taken * 1e3:5.0f} ms at once, longest part {longest * 1e3:5.1f} ms"
                )


if __name__ == "__main__":
    main()
