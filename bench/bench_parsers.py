"""What reading the streams of macOS and Windows costs, beside `json.loads` alone as the floor.

Run as ``python bench/bench_parsers.py [events]``; the default is 24,000. Budgets, for each
core: 20,000 events of `eslogger` and 50,000 lines of `log stream` per second. The recorded
events are those of the packs' tests; `eslogger`'s are 2,900 bytes on average.
"""

import gc
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "plugins/darwin"), str(ROOT / "plugins/windows")]
sys.path.append(str(ROOT / "plugins/windows/tests"))

from zeek_agent_darwin import _unifiedlog  # noqa: E402
from zeek_agent_darwin.file_events import FileEvents  # noqa: E402
from zeek_agent_darwin.process_events import ProcessEvents  # noqa: E402
from zeek_agent_darwin.processes_events import ProcessesEvents  # noqa: E402
from zeek_agent_windows._eventlog import Rendered, log_row, parse_event  # noqa: E402
from zeek_agent_windows._processes import ProcessRows  # noqa: E402
from zeek_agent_windows._tracing import Flows, parse_network, parse_process  # noqa: E402

from zeek_agent_core.api import Host, Where  # noqa: E402

ROUNDS = 5
CHUNK = 64
"""Events that come together, as one read of a pipe gives them."""
BUDGETS = {"eslogger": 20_000, "log stream": 50_000}
STREAMS = ROOT / "plugins/darwin/tests/fixtures/streams"


def per_second(work, count: int) -> float:
    """Return how many of *count* items *work* does per second of one core, at best."""
    best = float("inf")
    for _ in range(ROUNDS):
        gc.collect()
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return count / best


def chunks(lines: list[bytes], count: int) -> list[list[bytes]]:
    """Return *count* lines in turn, in chunks."""
    every = [lines[number % len(lines)] for number in range(count)]
    return [every[start : start + CHUNK] for start in range(0, count, CHUNK)]


def recorded(name: str) -> list[bytes]:
    """Return the recorded lines of a stream that are whole JSON."""
    lines = (STREAMS / name).read_bytes().split(b"\n")
    return [line for line in lines if line.startswith(b"{") and line.endswith(b"}")]


def of_kinds(lines: list[bytes], *kinds: str) -> list[bytes]:
    """Return the lines with events of *kinds*."""
    return [line for line in lines if next(iter(json.loads(line)["event"])) in kinds]


def loads_all(batches: list[list[bytes]]) -> None:
    """Do what cannot be done without."""
    for batch in batches:
        [json.loads(line) for line in batch]


def told(label: str, rate: float, floor: float | None, budget: int | None) -> bool:
    """Print one line; return whether the budget is missed."""
    ratio = f", {rate / floor:4.2f} of json.loads alone ({floor:,.0f}/s)" if floor else ""
    missed = budget is not None and rate < budget
    verdict = f" (at least {budget:,}: {'MISSED' if missed else 'ok'})" if budget else ""
    print(f"{label:34} {rate:9,.0f}/s{ratio}{verdict}")
    return missed


def eslogger(count: int) -> bool:
    """Measure the tables that `eslogger` serves."""
    lines, status = recorded("eslogger.jsonl"), False
    files = ("open", "create", "rename", "unlink")
    for kind, names, left_out in (
        (ProcessesEvents, ("exec", "exit", "fork"), ()),
        (ProcessEvents, ("exec", "fork"), ("mode", "inode", "ouid", "ogid")),
        (ProcessEvents, ("exec", "fork"), ()),
        (FileEvents, files, ()),
    ):
        batches = chunks(of_kinds(lines, *names), count)
        table = kind(Host())
        table.wanted = Where(columns=table.wanted.columns - {*left_out})
        source = table.sources[0](table)

        def read(source=source, batches=batches) -> None:
            for batch in batches:
                source.rows(batch)

        floor = per_second(lambda batches=batches: loads_all(batches), count)
        label = f"eslogger, {kind.name}" + (", no status" if left_out else "")
        status |= told(label, per_second(read, count), floor, BUDGETS["eslogger"])
    return status


def log_stream(count: int) -> bool:
    """Measure `log stream`."""
    batches = chunks(recorded("log_stream.ndjson"), count)

    def read() -> None:
        reader = _unifiedlog.Reader()
        for batch in batches:
            reader.rows(batch)

    floor = per_second(lambda: loads_all(batches), count)
    return told("log stream", per_second(read, count), floor, BUDGETS["log stream"])


def windows(count: int) -> None:
    """Measure Event Log and event tracing, which have no budget."""
    import scripted_windows as scripted

    folder = ROOT / "plugins/windows/tests/fixtures/events"
    texts = [file.read_text() for file in sorted(folder.glob("*.xml"))]

    def read_log() -> None:
        for number in range(count):
            text = texts[number % len(texts)]
            log_row(Rendered(text, "text"), parse_event(text), ("EventID",))

    told("Event Log XML", per_second(read_log, count), None, None)
    image = rf"{scripted.DEVICE}\Windows\System32\notepad.exe"
    start, stop = scripted.started(42, 7, image), scripted.stopped(42, "notepad.exe", 0)

    def trace_processes() -> None:
        rows = ProcessRows({scripted.DEVICE: "C:"})
        for _ in range(count // 2):
            rows.started(start, parse_process(start))
            rows.stopped(stop, parse_process(stop))

    told("event tracing, processes", per_second(trace_processes, count), None, None)
    here, there = ("192.0.2.5", 50001), ("198.51.100.7", 443)
    ends = [scripted.network(number, 42, here, there) for number in (12, 13)]

    def trace_network() -> None:
        flows = Flows()
        for number in range(count):
            record = ends[number % 2]
            flows.row(record, parse_network(record))

    told("event tracing, network", per_second(trace_network, count), None, None)


def main() -> int:
    """Print what each parser reaches."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 24_000
    status = eslogger(count)
    status |= log_stream(count)
    windows(count)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
