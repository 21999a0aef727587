"""An osquery to ask: the stand-in, run as a process of its own, which can be killed."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zeek_agent_core.config import Config

STANDIN = Path(__file__).with_name("standin.py")
INFO = {"version": "5.99.0", "uuid": "4C4C4544-0000-2010-8020-80C04F202020"}

LISTENING = {
    "columns": [
        ["pid", "INTEGER", 0],
        ["port", "INTEGER", 0],
        ["protocol", "INTEGER", 0],
        ["address", "TEXT", 0],
    ],
    "rows": [[1, 22, 6, "0.0.0.0"], [1, 80, 6, "::"], [999_999_999, 53, 17, "127.0.0.1"]],
}
HASH = {
    "columns": [["path", "TEXT", 2], ["directory", "TEXT", 2], ["sha256", "TEXT", 0]],
    "rows": [["/bin/sh", "/bin", "aa"], ["/bin/ls", "/bin", "bb"]],
}
PROCESSES = {"columns": [["pid", "BIGINT", 1], ["name", "TEXT", 0]], "rows": [[1, "init"]]}
EVENTS = {"columns": [["path", "TEXT", 0]], "rows": [["/bin/true"]]}
TABLES = {
    "listening_ports": LISTENING,
    "hash": HASH,
    "processes": PROCESSES,
    "process_events": EVENTS,
}


class StandIn:
    """A stand-in that can be started, killed, and given other data."""

    def __init__(self, folder):
        self.path = str(folder / "osquery.em")
        self.data = folder / "data.json"
        self.process = None
        self.write(TABLES)

    def write(self, tables, **behaviour):
        """Give it other tables, and make queries on some misbehave."""
        given = {"info": INFO, "tables": tables, "behaviour": behaviour}
        fresh = self.data.with_suffix(".new")
        fresh.write_text(json.dumps(given))
        fresh.replace(self.data)

    def start(self):
        """Start it, and return once it listens."""
        command = [sys.executable, str(STANDIN), self.path, str(self.data)]
        self.process = subprocess.Popen(command)
        for _ in range(500):
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(self.path)
                except OSError:
                    time.sleep(0.02)
                else:
                    return
        raise AssertionError("the stand-in does not start")

    def kill(self):
        """End it as a crash would; its socket stays behind."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def calls(self):
        """Return all calls so far."""
        log = self.data.with_suffix(".log")
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def queries(self, table):
        """Return the statements so far that read *table*."""
        return [call[1] for call in self.calls() if call[0] == "query" and f'"{table}"' in call[1]]


@pytest.fixture
def standin(tmp_path):
    """Return a stand-in that does not run yet."""
    tmp_path.chmod(0o755)
    made = StandIn(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def osquery(standin):
    """Return a stand-in that runs."""
    standin.start()
    return standin


@pytest.fixture
def configured(standin, tmp_path):
    """Return a maker of agent configurations with a section ``[osquery]``."""

    def make(**settings):
        section = {"extensions_socket": standin.path, "retry_interval": 1.0, **settings}
        return Config(state_dir=tmp_path / "state", agent_id="Htest", tables={"osquery": section})

    return make
