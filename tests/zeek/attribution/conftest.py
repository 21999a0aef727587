"""Zeek reads a trace while a script plays the agents."""

import functools
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.zeek.attribution.feed import Feed
from tests.zeek.attribution.traces import Trace

SCRIPTS = Path(__file__).parents[3] / "zeek-scripts"


@functools.cache
def zeekpath():
    """Return where Zeek looks for scripts."""
    words = ["zeek-config", "--zeekpath"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


class Offline:
    """A trace, what agents tell meanwhile, and what Zeek logs of it."""

    def __init__(self, home):
        self.home = home
        self.trace = Trace()
        self.feed = Feed()
        self.output = ""

    def run(self, script="", *, warns=False):
        """Run Zeek to the end of the trace; return itself."""
        for second in range(int(self.last) + 60):
            self.trace.wait(second)  # Zeek's clock follows the packets
        (self.home / "zeek-agent").symlink_to(SCRIPTS)
        (self.home / "test.zeek").write_text(
            f"@load zeek-agent\nredef LogAscii::use_json = T;\n{self.feed.script()}\n{script}"
        )
        trace = self.trace.write(self.home / "trace.pcap")
        done = subprocess.run(
            ["zeek", "-C", "-r", trace, "test.zeek"],
            cwd=self.home, env={**os.environ, "ZEEKPATH": f"{self.home}:{zeekpath()}"}, check=False,
            capture_output=True, text=True, timeout=50,
        )  # fmt: skip
        self.output = done.stdout
        assert done.returncode == 0, done.stderr
        assert "error" not in done.stderr, done.stderr
        assert not [row for row in self.log("reporter") if row["level"] == "Reporter::ERROR"]
        assert bool(self.warnings) == warns
        return self

    @property
    def warnings(self):
        """Return what Zeek warned of."""
        rows = self.log("reporter")
        return [row["message"] for row in rows if row["level"] == "Reporter::WARNING"]

    @property
    def last(self):
        """Return the moment of the last packet or event."""
        return max(*self.trace.moments(), *self.feed.moments(), 0, 0)

    def log(self, name):
        """Return the rows of a log."""
        path = self.home / f"{name}.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def connection(self, client_port):
        """Return the row of `conn.log` of the connection from a port."""
        (found,) = [row for row in self.log("conn") if row["id.orig_p"] == client_port]
        return found

    def late(self, uid):
        """Return the late attributions of a connection."""
        rows = self.log("zeek-agent-attribution")
        return [row for row in rows if row["uid"] == uid and row["late"]]


@pytest.fixture
def offline(tmp_path):
    """Return a trace to fill, agents to play, and a Zeek to run."""
    return Offline(tmp_path)
