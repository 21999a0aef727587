"""A real agent in local mode, on this very host, in all three forms of output."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="the tables are those of Linux"),
]

PATIENCE = 40.0


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose state is the test's own."""
    config = tmp_path / "agent.toml"
    config.write_text(
        f"""
        state-dir = "{tmp_path / "state"}"
        [[query]]
        name = "watched"
        sql = "SELECT path, size FROM files_list('{tmp_path}/watched/*')"
        interval = 0.5
        subscription = "differences"
        [[query]]
        name = "people"
        sql = '''SELECT p.pid, u.name AS user FROM processes p JOIN users u ON u.uid = p.uid
                 WHERE p.name = 'sleep' '''
        interval = 0.5
        subscription = "differences"
        [[query]]
        name = "listeners"
        sql = "SELECT pid, process, local_port FROM sockets WHERE state = 'LISTEN'"
        interval = 0.5
        subscription = "differences"
        """
    )
    (tmp_path / "watched").mkdir()
    return {**os.environ, "ZEEK_AGENT_CONFIG": str(config), "NO_COLOR": "1"}


@contextmanager
def agent(
    environment: dict[str, str], *arguments: str, output: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run an agent in local mode; it must end in peace when asked to."""
    command = [sys.executable, "-m", "zeek_agent_core", "--local", "--interval", "0.5", *arguments]
    with output.open("wb") as stdout, output.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=stdout, stderr=log)
    try:
        until(lambda: has_begun(output.with_suffix(".log").read_text()))
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0, output.with_suffix(".log").read_text()
    finally:
        process.kill()
        process.wait()


def has_begun(log: str) -> bool:
    """Return whether all queries that a test looks at know what there is to begin with."""
    names = "watched", "people", "listeners", "zeek-agent-processes", "zeek-agent-sockets"
    return all(f"query {name}: " in log for name in names)


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@contextmanager
def things_happening(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Open a port, start a process of another user, change a file; yield port and pid."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "watched/file").write_text("more")
        sleeper = subprocess.Popen([shutil.which("sleep") or "sleep", "300"], user="nobody")
        try:
            yield server.getsockname()[1], sleeper.pid
        finally:
            sleeper.kill()
            sleeper.wait()


def test_json(environment, tmp_path):
    """Each change is one JSON line, in the log of its query."""
    output = tmp_path / "out.jsonl"

    def lines() -> list[dict[str, object]]:
        return [json.loads(line) for line in output.read_text().splitlines()]

    def seen(log: str, **columns: object) -> bool:
        return any(
            line["log"] == log
            and line["change"] == "new"
            and columns.items() <= line["columns"].items()
            for line in lines()
        )

    with (
        agent(environment, "--output", "json", output=output),
        things_happening(tmp_path) as (port, pid),
    ):
        until(lambda: seen("listeners", local_port=port, pid=os.getpid()))
        until(lambda: seen("people", pid=pid, user="nobody"))
        until(lambda: seen("watched", path=f"{tmp_path}/watched/file", size=4))
        until(lambda: seen("zeek-agent-sockets", local_port=port, state="LISTEN"))
        until(lambda: seen("zeek-agent-processes", pid=pid, name="sleep"))


def test_pretty(environment, tmp_path):
    """People see a line with a plus for what is new, and a minus for what is gone."""
    output = tmp_path / "out.txt"
    with agent(environment, "--output", "pretty", output=output):
        with things_happening(tmp_path) as (port, pid):
            until(lambda: f"local_port={port} " in output.read_text())
            until(lambda: f"people pid={pid} user=nobody" in output.read_text())
            until(lambda: f"+ watched path={tmp_path}/watched/file size=4" in output.read_text())
        until(lambda: f"- people pid={pid} user=nobody" in output.read_text())


def test_zeek(environment, tmp_path):
    """Zeek's logs have their headers, and one file for each log."""
    logs = tmp_path / "logs"
    output = tmp_path / "out"

    def rows(name: str) -> list[dict[str, str]]:
        path = logs / f"{name}.log"
        if not path.exists():
            return []
        lines = path.read_text().splitlines()
        fields = next(line for line in lines if line.startswith("#fields")).split("\t")[1:]
        return [
            dict(zip(fields, line.split("\t"), strict=True)) for line in lines if line[0] != "#"
        ]

    with (
        agent(environment, "--output", "zeek", "--log-dir", str(logs), output=output),
        things_happening(tmp_path) as (port, pid),
    ):
        until(lambda: any(r["local_port"] == str(port) for r in rows("zeek-agent-sockets")))
        until(lambda: any(r["pid"] == str(pid) for r in rows("zeek-agent-processes")))
        until(lambda: any(r["path"].endswith("/watched/file") for r in rows("watched")))
        until(lambda: any(r["user"] == "nobody" for r in rows("people")))
    assert (logs / "zeek-agent-sockets.log").read_text().splitlines()[-1].startswith("#close")
    assert (logs / "zeek-agent-sockets.log").stat().st_mode & 0o007 == 0


def test_reload(environment, tmp_path):
    """SIGHUP takes over new queries, and keeps the old ones where the file is wrong."""
    output = tmp_path / "out.jsonl"
    config = Path(environment["ZEEK_AGENT_CONFIG"])
    good = config.read_text()
    with agent(environment, "--output", "json", output=output) as process:
        config.write_text(good + "\n[local]\noutptu = 'json'\n")
        process.send_signal(signal.SIGHUP)
        log = output.with_suffix(".log")
        until(lambda: "did you mean 'output'?" in log.read_text())
        config.write_text(good.replace('"watched"', '"renamed"'))
        process.send_signal(signal.SIGHUP)
        until(lambda: "query renamed: " in log.read_text())
        (tmp_path / "watched/late").write_text("x")
        until(lambda: '"renamed"' in output.read_text())
        assert '"watched"' not in output.read_text()


def test_a_second_agent_is_told(environment, tmp_path):
    """Two agents do not write into one directory; the first goes on."""
    logs = tmp_path / "logs"
    arguments = ["--output", "zeek", "--log-dir", str(logs)]
    with agent(environment, *arguments, output=tmp_path / "out") as first:
        command = [sys.executable, "-m", "zeek_agent_core", "--local", *arguments]
        second = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert second.returncode == 1
        assert f"another agent (process {first.pid}) has {logs}".encode() in second.stderr
        assert first.poll() is None


def test_a_reader_that_goes_away_ends_it(environment, tmp_path):
    """Without a reader of its output an agent ends, without a trace."""
    command = [sys.executable, "-m", "zeek_agent_core", "--local", "--output", "json"]
    command += ["--interval", "0.3"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            (tmp_path / "watched/one").write_text("x")
            until(lambda: process.stdout and process.stdout.readline())
            process.stdout.close()
            for number in range(200):
                (tmp_path / f"watched/{number}").write_text("x")
                time.sleep(0.05)
                if process.poll() is not None:
                    break
            assert process.wait(PATIENCE) == 0
            assert b"Traceback" not in process.stderr.read()
        finally:
            process.kill()
