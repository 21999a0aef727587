"""A whole `zeek-agent -e 'SELECT 1'` against `python -c 'import apsw, asyncio'`.

Both with compiled files in place, in turns. Budget: at most 2.5 times, with
all plugins that are installed here. Then come the slowest imports.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from time import perf_counter

ROUNDS, BUDGET, SHOWN = 40, 2.5, 15

AGENT = [str(Path(sys.executable).with_name("zeek-agent")), "-e", "SELECT 1"]
BASE = [sys.executable, "-c", "import apsw, asyncio"]


def run(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds that *command* takes, and those of the processor."""
    began, used = perf_counter(), os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    now = os.times()
    cpu = now.children_user + now.children_system - used.children_user - used.children_system
    return perf_counter() - began, cpu


def slowest_imports(environment: dict[str, str]) -> list[tuple[int, str]]:
    """Return the imports that take longest by themselves, in µs."""
    command = [sys.executable, "-X", "importtime", *AGENT]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    lines = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", done.stderr)
    return sorted(((int(taken), name) for taken, name in lines), reverse=True)[:SHOWN]


def main() -> int:
    """Print what was reached; return 1 if the budget is missed."""
    with tempfile.TemporaryDirectory() as state:
        environment = {
            **os.environ,
            "ZEEK_AGENT_STATE_DIR": state,
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": f"{state}/compiled",
        }
        taken: dict[str, list[tuple[float, float]]] = {"agent": [], "base": []}
        run(AGENT, environment)
        run(BASE, environment)
        for _ in range(ROUNDS):
            taken["agent"].append(run(AGENT, environment))
            taken["base"].append(run(BASE, environment))
        imports = slowest_imports(environment)
    agent, base = (statistics.median(wall for wall, _ in times) for times in taken.values())
    agent_cpu, base_cpu = (sum(cpu for _, cpu in times) / ROUNDS for times in taken.values())
    is_kept = agent / base <= BUDGET
    print(f"{len(metadata.entry_points(group='zeek_agent'))} plugins, {ROUNDS} rounds")
    print(f"agent {agent * 1e3:.0f} ms, base {base * 1e3:.0f} ms, ratio {agent / base:.2f}")
    print(f"processor: agent {agent_cpu * 1e3:.0f} ms, base {base_cpu * 1e3:.0f} ms, "
          f"ratio {agent_cpu / base_cpu:.2f}")  # fmt: skip
    print(f"budget {BUDGET}: {'kept' if is_kept else 'MISSED'}")
    for microseconds, name in imports:
        print(f"{microseconds:8} µs  {name}")
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
