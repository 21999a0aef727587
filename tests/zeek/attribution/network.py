"""Two hosts with agents, and a router between them on which Zeek listens: all real.

Each is a network namespace. What the hosts do is started with `run`, as a user.
"""

import contextlib
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.zeek.conftest import Process, wait_for

SCRIPTS = Path(__file__).parents[3] / "zeek-scripts"
CLIENT, SERVER = "10.78.1.2", "10.78.2.2"
GATES = {"c": "10.78.1.1", "s": "10.78.2.1"}
PORT = 27759

SETTINGS = """
redef LogAscii::use_json = T;
redef ignore_checksums = T;
redef ZeekAgent::listen_address = 0.0.0.0;
redef ZeekAgent::listen_port = 27759/tcp;
redef ZeekAgent::Attribution::sockets_interval = 1sec;
redef ZeekAgent::Attribution::processes_interval = 1sec;
redef ZeekAgent::Attribution::events_interval = 1sec;
redef Pcap::snaplen = 65535;
"""
AGENT = """
state-dir = "{home}/state"
run-dir = "{home}/run"
[zeek]
ssl_disable = true
reconnect_interval = 1
reconnect_spread = 1
"""


def ip(*words):
    """Set up a part of the network."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """`with` makes it and takes it down again; its parts are named `c`, `s` and `z`."""

    def __init__(self, home, script):
        self.home = home
        self._tag = f"zat{os.getpid()}"
        self._script = script
        self._undo = ExitStack()
        self.zeek = self.agents = None

    def __enter__(self):
        """Make it and start all programs."""
        try:
            self._make()
            self._start()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, *_):
        """Take it down."""
        self._undo.close()

    def name(self, part):
        """Return the name of a namespace."""
        return f"{self._tag}{part}"

    def words(self, part, *words, user=None):
        """Return a command that runs in a namespace, as a user."""
        as_user = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []
        return ["ip", "netns", "exec", self.name(part), *as_user, *words]

    def run(self, part, *words, user=None, **options):
        """Start a program on a host; it ends with the network."""
        process = subprocess.Popen(self.words(part, *words, user=user), **options)
        self._undo.callback(self._end, process)
        return process

    def log(self, name):
        """Return the rows of a log."""
        path = self.home / "zeek" / f"{name}.log"
        if not path.exists():
            return []
        rows = []
        for line in path.read_text(errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # Zeek is about to write the rest
                rows.append(json.loads(line))
        return rows

    def wait_for(self, condition, what, seconds=30.0):
        """Wait until a condition holds, and return what it returned."""
        return wait_for(condition, what, self.zeek, *self.agents, seconds=seconds)

    def _make(self):
        for part in "csz":
            ip("netns", "add", self.name(part))
            self._undo.callback(ip, "netns", "del", self.name(part))
            ip("-n", self.name(part), "link", "set", "lo", "up")
        for part, address in (("c", CLIENT), ("s", SERVER)):
            ip("-n", self.name("z"), "link", "add", "name", f"to-{part}", "type", "veth",
               "peer", "name", "eth0", "netns", self.name(part))  # fmt: skip
            ip("-n", self.name("z"), "addr", "add", f"{GATES[part]}/24", "dev", f"to-{part}")
            ip("-n", self.name("z"), "link", "set", f"to-{part}", "up")
            ip("-n", self.name(part), "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", self.name(part), "link", "set", "eth0", "up")
            ip("-n", self.name(part), "route", "add", "default", "via", GATES[part])
        forward = self.words("z", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        subprocess.run(forward, check=True)

    def _start(self):
        home = self.home / "zeek"
        home.mkdir()
        (home / "zeek-agent").symlink_to(SCRIPTS)
        (home / "test.zeek").write_text(f"@load zeek-agent\n{SETTINGS}\n{self._script}")
        found = subprocess.run(
            ["zeek-config", "--zeekpath"], capture_output=True, text=True, check=True
        )
        self.zeek = self._process(
            home, "z", "zeek", "-i", "to-c", "test.zeek", ZEEKPATH=f"{home}:{found.stdout.strip()}"
        )
        wait_for(lambda: "listening on" in self.zeek.output, "Zeek does not start", self.zeek)
        self.agents = [self._agent(part) for part in "cs"]
        self.wait_for(lambda: len(self.joined()) == len(self.agents), "not all agents joined")

    def joined(self):
        """Return the names of the agents that joined."""
        return {row["hid"] for row in self.log("zeek-agent") if row["type_"] == "join"}

    def _agent(self, part):
        home = self.home / f"agent-{part}"
        home.mkdir()
        (home / "agent.toml").write_text(AGENT.format(home=home))
        command = [sys.executable, "-m", "zeek_agent_core", "-c", "agent.toml"]
        return self._process(home, part, *command, "-z", f"{GATES[part]}:{PORT}")

    def _process(self, home, part, *words, **environment):
        process = Process(home, self.words(part, *words), environment)
        self._undo.callback(process.stop)
        process.start()
        return process

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
