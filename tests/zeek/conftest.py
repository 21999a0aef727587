"""A real Zeek and a real agent, each in a process and a directory of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

STOCK = "ZEEK_AGENT_STOCK_PACKAGE"
"""Names the directory of the stock package's scripts, the one with `__load__.zeek`."""
ROOT = Path(__file__).parents[2]


def free_port():
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for(condition, what, *processes, seconds=25.0):
    """Wait until *condition* holds and return what it returned; else show what *processes* said."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    outputs = "\n".join(process.output for process in processes)
    raise AssertionError(f"{what}\n{outputs}")


class Process:
    """A program whose output goes to a file."""

    def __init__(self, home, words, environment=None):
        home.mkdir(exist_ok=True)
        self.home = home
        self._words = words
        self.environment = {**os.environ, **(environment or {})}
        self.process = None

    @property
    def output(self):
        return (self.home / "output").read_text(errors="replace")

    def start(self):
        with (self.home / "output").open("a") as output:
            self.process = subprocess.Popen(
                self._words, cwd=self.home, env=self.environment, stdout=output, stderr=output,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def stop(self, number=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(20)


class RealZeek(Process):
    """Zeek with the package, or with scripts of a test's own."""

    def __init__(self, home, script, *, port=None, node=None):
        found = subprocess.run(["zeek", "--version"], capture_output=True, text=True, check=True)
        self.release = tuple(map(int, found.stdout.split()[2].split("-")[0].split(".")[:2]))
        self.port = port or free_port()
        path = subprocess.run(
            ["zeek-config", "--zeekpath"], capture_output=True, text=True, check=True
        )
        environment = {
            "ZEEKPATH": f"{home}:{path.stdout.strip()}",
            "ZEEK_WEBSOCKET_LISTEN_PORT": str(self.port),
            "ZEEK_WEBSOCKET_LISTEN_ADDRESS": "127.0.0.1",
            **({"CLUSTER_NODE": node} if node else {}),
        }
        super().__init__(home, ["zeek", "test.zeek", "exit_only_after_terminate=T"], environment)
        self._is_stock = "default_port_websocket" in script
        script = script.replace("PORT", str(self.port))
        for name in ("XPUB", "XSUB"):
            script = script.replace(name, str(free_port()))
        (home / "test.zeek").write_text(script)
        (home / "zeek-agent").symlink_to(ROOT / "zeek-scripts")

    @property
    def tls(self):
        """The setting with which an agent can join: Broker's server has TLS without certificates.

        Our package listens with Zeek's own server as soon as there is one, the stock package later.
        """
        is_own_server = self.release >= ((8, 1) if self._is_stock else (8, 0))
        return "" if is_own_server else 'tls = "anonymous"'

    def start(self):
        super().start()
        wait_for(self.listens, "Zeek does not listen", self)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def log(self, name):
        """Return the rows of a log, each by its fields."""
        path = self.home / f"{name}.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        fields = [line.split("\t")[1:] for line in lines if line.startswith("#fields")]
        rows = [line.split("\t") for line in lines if not line.startswith("#")]
        return [dict(zip(fields[0], row, strict=False)) for row in rows]


class Agent(Process):
    """An agent that joins a Zeek."""

    def __init__(self, home, zeek, settings="", destination=None, options=(), *, before=()):
        """*before* are the words of a command that starts the agent in its own surroundings."""
        home.mkdir()
        (home / "agent.toml").write_text(
            f'state-dir = "{home}/state"\nrun-dir = "{home}/run"\n'
            f"[zeek]\nreconnect_interval = 1\nreconnect_spread = 1\n{settings or zeek.tls}\n"
        )
        words = [sys.executable, "-m", "zeek_agent_core", *options, "-c", "agent.toml", "-z"]
        super().__init__(home, [*before, *words, destination or f"127.0.0.1:{zeek.port}"])


@pytest.fixture(autouse=True, scope="session")
def _real_zeek():
    if shutil.which("zeek") is None:
        pytest.skip("NOT TESTED WITH A REAL ZEEK: there is no zeek on the PATH")


def pytest_generate_tests(metafunc):
    """Run the tests of a package with ours, and with the stock one if there is one."""
    if "package" in metafunc.fixturenames:
        packages = ["ours", *(["stock"] if os.environ.get(STOCK) else [])]
        metafunc.parametrize("package", packages, indirect=True)


@pytest.fixture
def package(request):
    """Return the script that loads our package, or the stock one."""
    if request.param == "ours":
        return OURS
    return STOCK_LISTENS.replace("SCRIPTS", str(Path(os.environ[STOCK]).resolve()))


OURS = """
@load zeek-agent
redef ZeekAgent::hello_interval = 2sec;
"""

STOCK_LISTENS = """
@load SCRIPTS
redef ZeekAgent::hello_interval = 2sec;
@if ( Version::number < 80100 )
redef Broker::default_listen_address_websocket = "127.0.0.1";
redef Broker::default_port_websocket = PORT/tcp;
@else
@load frameworks/cluster/backend/zeromq
redef Cluster::Backend::ZeroMQ::run_proxy_thread = T;
redef Cluster::Backend::ZeroMQ::listen_xpub_endpoint = "tcp://127.0.0.1:XPUB";
redef Cluster::Backend::ZeroMQ::listen_xsub_endpoint = "tcp://127.0.0.1:XSUB";
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = "tcp://127.0.0.1:XSUB";
redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = "tcp://127.0.0.1:XPUB";
@endif
"""


@pytest.fixture
def start(tmp_path):
    """Return a function that makes and starts a process; all end with the test."""
    running = []

    def make(kind, name, *arguments, **options):
        process = kind(tmp_path / name, *arguments, **options)
        running.append(process)
        process.start()
        return process

    yield make
    for process in reversed(running):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.stop()
        process.stop(signal.SIGKILL)
