"""What a local agent with its default queries costs while nothing happens.

Starts `zeek-agent --local` with output to nowhere, lets it settle, and reads
/proc for a minute: processor time, wake-ups, memory. Linux only.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETTLE = 3.0
"""Seconds for the start, which is not counted."""


def status(pid: int) -> dict[str, int]:
    """Return the sums over all threads: ticks, voluntary and forced switches; and the kB held."""
    found = {"ticks": 0, "voluntary": 0, "forced": 0}
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    found["ticks"] = int(fields[11]) + int(fields[12])
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "voluntary_ctxt_switches":
                found["voluntary"] += int(value)
            elif name == "nonvoluntary_ctxt_switches":
                found["forced"] += int(value)
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(("VmRSS", "VmHWM", "Threads")):
            name, _, value = line.partition(":")
            found[name] = int(value.split()[0])
    return found


def main() -> int:
    """Print what was measured."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=60.0)
    seconds = options.parse_args().seconds
    if sys.platform != "linux":
        print("skipped: needs /proc")
        return 0
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "zeek_agent_core", "--local", "--output", "json"]
        environment = {**os.environ, "ZEEK_AGENT_STATE_DIR": state}
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        ) as process:
            time.sleep(SETTLE)
            if process.poll() is not None:
                print(f"the agent ended with status {process.returncode}")
                return 1
            before, began = status(process.pid), time.monotonic()
            time.sleep(seconds)
            after, passed = status(process.pid), time.monotonic() - began
            process.send_signal(signal.SIGTERM)
            ended = process.wait(10)
    cpu = (after["ticks"] - before["ticks"]) / os.sysconf("SC_CLK_TCK")
    print(f"{passed:.0f} s with the default queries; ended with status {ended}")
    print(f"processor: {cpu:.2f} s, {cpu / passed:.2%} of one core")
    print(f"wake-ups: {(after['voluntary'] - before['voluntary']) / passed:.1f} per second")
    print(f"preempted: {(after['forced'] - before['forced']) / passed:.1f} per second")
    print(f"memory: {after['VmRSS'] / 1024:.1f} MiB, at most {after['VmHWM'] / 1024:.1f} MiB; "
          f"{after['Threads']} threads")  # fmt: skip
    return 0 if ended == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
