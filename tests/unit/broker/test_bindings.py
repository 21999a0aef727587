"""Tests of the native peering, with the interpreters that have Broker's bindings."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.broker.conftest import TOPICS, Recorder
from zeek_agent_core.broker import destination
from zeek_agent_core.broker.bindings import Peering
from zeek_agent_core.broker.tls import Mode, TlsSettings
from zeek_agent_core.broker.transport import Lost, Reason

ROOT = Path(__file__).parents[3]
ROLES = Path(__file__).with_name("native_roles.py")


def interpreters():
    """Return interpreters that can import the bindings, with the PYTHONPATH each needs."""
    found = {}
    candidates = {"distribution": ("/usr/bin/python3", "")}
    zeek = shutil.which("zeek-config")
    if zeek:
        where = subprocess.run([zeek, "--python_dir"], capture_output=True, text=True, check=False)
        candidates["zeek"] = (sys.executable, where.stdout.strip())
    for name, (python, path) in candidates.items():
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{path}".rstrip(os.pathsep)}
        words = [python, "-c", "import broker, sys; sys.exit(sys.version_info < (3, 11))"]
        try:
            status = subprocess.run(words, env=environment, capture_output=True, check=False)
        except OSError:
            continue
        if status.returncode == 0:
            found[name] = (python, environment)
    return found


INTERPRETERS = interpreters()


@pytest.fixture(params=["distribution", "zeek"])
def python(request):
    """Return an interpreter with bindings, and its environment."""
    if request.param not in INTERPRETERS:
        if request.param == "distribution" and sys.platform == "linux":
            pytest.fail("no bindings of Broker: apt-get install python3-broker")
        pytest.skip(f"no Python with Broker's bindings from {request.param}")
    return INTERPRETERS[request.param]


def agent_told(python, port):
    """Return what the agent's side has to tell."""
    words, environment = [python[0], ROLES, "agent", str(port)], python[1]
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=40, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_peering(python):
    """Events of all types go both ways unchanged and in order; the end of the peer is told."""
    with subprocess.Popen(
        [python[0], ROLES, "zeek"], env=python[1], stdout=subprocess.PIPE, text=True
    ) as zeek:
        told = agent_told(python, int(zeek.stdout.readline()))
        zeek.wait(30)
    assert told["same"], told["echoed"]
    assert told["types"] == [
        "bool", "int", "Count", "float", "str", "str", "Enum", "Timestamp", "Timespan", "Address",
        "Subnet", "Port", "NoneType", "tuple", "Set", "Table",
    ]  # fmt: skip
    assert (told["rows"], told["in_order"]) == (2000, True)
    assert told["why"][0][0] == "broken"
    assert "the peering ended" in told["why"][0][1]


def test_unanswered(python):
    """A peer that never answers, as one of another generation does, is given up with a hint."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = agent_told(python, silent.getsockname()[1])
    assert told["why"][0][0] in ("silent", "refused")
    assert "peering" in told["why"][0][1]


async def refused(tls=None):
    """Return why a peering ends at once."""
    peering = Peering(destination.parse("broker://localhost:1").endpoints[0], tls)
    with pytest.raises(Lost) as caught:
        await asyncio.wait_for(peering.run(TOPICS, Recorder()), 5)
    return caught.value


async def test_missing(monkeypatch):
    """Without the bindings the message says where they come from, and what does without."""
    monkeypatch.setitem(sys.modules, "broker", None)
    why = await refused()
    assert why.reason is Reason.MISCONFIGURED
    assert "zeek-config --python_dir" in str(why)
    assert "ws://" in str(why)


async def test_something_else_called_broker(monkeypatch):
    """Another module of that name is recognised."""
    monkeypatch.setitem(sys.modules, "broker", json)
    assert "another `broker`" in str(await refused())


@pytest.mark.parametrize("settings", [TlsSettings(Mode.INSECURE), TlsSettings(Mode.VERIFY)])
async def test_modes_that_broker_does_not_know(monkeypatch, settings):
    """A TLS mode that Broker does not have is refused with those that it has."""

    class Module:
        Endpoint = Configuration = zeek = Count = Enum = None

        class Port:
            TCP, UDP, ICMP = "TCP", "UDP", "ICMP"

    monkeypatch.setitem(sys.modules, "broker", Module)
    assert '"anonymous"' in str(await refused(settings))
