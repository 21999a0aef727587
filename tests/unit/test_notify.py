"""What the agent tells the service manager, on a real socket."""

import asyncio
import contextlib
import os
import socket

import pytest

from zeek_agent_core.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """Return a socket as a service manager has it, and the address that it announces."""
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(name if request.param == "path" else "\0" + name)
        bound.settimeout(5)
        yield bound, name if request.param == "path" else "@" + name


def test_ready(manager):
    """Being ready is told with a status for people, to sockets of both kinds."""
    bound, address = manager
    Notifier({"NOTIFY_SOCKET": address}).ready("3 tables")
    assert bound.recv(1000) == b"READY=1\nSTATUS=3 tables"


def test_reload_and_stop(manager):
    """Reading the configuration again and ending are told, as sd_notify(3) has them."""
    bound, address = manager
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.reloading()
    told = dict(line.split("=") for line in bound.recv(1000).decode().splitlines())
    assert told.keys() == {"RELOADING", "MONOTONIC_USEC"}
    notifier.stopping()
    assert bound.recv(1000) == b"STOPPING=1"


async def test_signs_of_life(manager):
    """The watchdog gets two signs of life in each of its periods."""
    bound, address = manager
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"}
    task = asyncio.create_task(Notifier(environment).keep_alive())
    for _ in range(3):
        assert await asyncio.to_thread(bound.recv, 1000) == b"WATCHDOG=1"
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "variables",
    [{}, {"WATCHDOG_USEC": "5"}, {"WATCHDOG_USEC": "x", "NOTIFY_SOCKET": "/nowhere"},
     {"WATCHDOG_USEC": "5", "WATCHDOG_PID": "1", "NOTIFY_SOCKET": "/nowhere"},
     {"NOTIFY_SOCKET": "vsock:2:1"}],
)  # fmt: skip
async def test_without_a_manager(variables):
    """Where nobody listens, or others are meant, nothing happens and nothing is raised."""
    environment = dict(variables)
    notifier = Notifier(environment)
    notifier.ready("fine")
    is_meant = variables.get("WATCHDOG_USEC") == "5" and "WATCHDOG_PID" not in variables
    assert (notifier.watchdog is not None) == is_meant
    assert not environment, "children would inherit it"


def test_a_watchdog_of_this_process():
    """A watchdog that names this process is heeded."""
    environment = {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}
    assert Notifier(environment).watchdog == 60
