"""Tests of ``services``, against a real D-Bus daemon with a stand-in for systemd."""

import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from zeek_agent_linux import services

from zeek_agent_core.errors import TableError
from zeek_agent_core.host import Host
from zeek_agent_core.sql.database import Database

CONFIG = """<busconfig><type>session</type><listen>unix:path={path}</listen>
<auth>EXTERNAL</auth><policy context="default"><allow send_destination="*"/>
<allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy></busconfig>"""

UNIT = "/org/freedesktop/systemd1/unit/"
UNITS = [
    ("ssh.service", "Secure Shell", "loaded", "active", "running", "", UNIT + "ssh", 0, "", "/"),
    ("getty@tty1.service", "Getty", "loaded", "active", "running", "", UNIT + "getty", 0, "", "/"),
    ("once.service", "Once", "loaded", "active", "exited", "", UNIT + "once", 0, "", "/"),
    ("lost.service", "lost", "not-found", "inactive", "dead", "", UNIT + "lost", 0, "", "/"),
    ("bad.service", "Bad", "loaded", "failed", "failed", "", UNIT + "bad", 0, "", "/"),
]
FILES = [
    ("/lib/systemd/system/ssh.service", "enabled"),
    ("/lib/systemd/system/sshd.service", "alias"),
    ("/lib/systemd/system/getty@.service", "enabled"),
    ("/lib/systemd/system/once.service", "static"),
    ("/etc/systemd/system/bad.service", "disabled"),
    ("/etc/systemd/system/quiet.service", "masked"),
]
PIDS = {UNIT + "ssh": 4711, UNIT + "once": 0}


class StandIn:
    """Answers as systemd's manager does."""

    def __init__(self, address, units=UNITS):
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import open_dbus_connection

        self.units = units
        self.connection = open_dbus_connection(f"unix:path={address}")
        message = message_bus.RequestName(services.DESTINATION)
        self.connection.send_and_get_reply(message, timeout=5)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        """Answer calls until one asks to stop."""
        from jeepney import HeaderFields, new_error, new_method_return

        while True:
            call = self.connection.receive()
            method = call.header.fields.get(HeaderFields.member)
            path = call.header.fields.get(HeaderFields.path)
            if method == "Quit":
                return
            if method == "ListUnitsByPatterns":
                reply = new_method_return(call, "a(ssssssouso)", (self.units,))
            elif method == "ListUnitFilesByPatterns":
                reply = new_method_return(call, "a(ss)", (FILES,))
            elif method == "Get" and path in PIDS:
                reply = new_method_return(call, "v", (("u", PIDS[path]),))
            elif method == "Get":
                reply = new_error(call, "org.freedesktop.DBus.Error.UnknownObject")
            else:
                continue
            self.connection.send(reply)

    def close(self, address):
        """Stop the thread with a call of its own."""
        from jeepney import DBusAddress, new_method_call
        from jeepney.io.blocking import open_dbus_connection

        with open_dbus_connection(f"unix:path={address}") as other:
            target = DBusAddress("/", services.DESTINATION, "a.b")
            other.send(new_method_call(target, "Quit"))
            self.thread.join(5)
        self.connection.close()


@pytest.fixture
def root():
    """Return a root with a short path, as socket names are short."""
    with tempfile.TemporaryDirectory(prefix="za") as name:
        path = Path(name)
        (path / "run/dbus").mkdir(parents=True)
        (path / "run/systemd/system").mkdir(parents=True)
        yield path


@pytest.fixture
def bus(root):
    """Return a D-Bus daemon whose socket is the system bus of *root*."""
    program = shutil.which("dbus-daemon")
    if program is None:
        pytest.fail("no dbus-daemon: apt-get install dbus-daemon")
    config = root / "bus.conf"
    address = root / services.SOCKET.lstrip("/")
    config.write_text(CONFIG.format(path=address))
    arguments = [program, f"--config-file={config}", "--nofork", "--print-address"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout.readline()
        yield address
        daemon.terminate()


async def query(host, sql):
    """Return the rows of one statement."""
    async with Database([services.Services(host)]) as db:
        return (await db.execute(sql)).rows


async def test_services_are_listed(root, bus):
    """Loaded units come with their state, then services that only have a file."""
    systemd = StandIn(bus)
    try:
        rows = await query(
            Host(root), "SELECT name, is_running, is_enabled, active_state, pid FROM services"
        )
    finally:
        systemd.close(bus)
    assert rows == [
        ("bad.service", 0, 0, "failed", None),
        ("getty@tty1.service", 1, 1, "active", None),
        ("lost.service", 0, None, "inactive", None),
        ("once.service", 0, None, "active", None),
        ("ssh.service", 1, 1, "active", 4711),
        ("quiet.service", 0, 0, "inactive", None),
    ]


async def test_many_services_are_asked_for_their_process(root, bus):
    """More processes than one connection may ask for at once are all found."""
    units = [(f"u{n}.service", "", "loaded", "active", "running", "", UNIT + "ssh", 0, "", "/")
             for n in range(1000)]  # fmt: skip
    systemd = StandIn(bus, units)
    try:
        rows = await query(Host(root), "SELECT count(*) FROM services WHERE pid = 4711")
    finally:
        systemd.close(bus)
    assert rows == [(1000,)]


async def test_nobody_at_the_bus_is_an_error(root, bus):
    """Without systemd at the bus the query fails with the reason."""
    with pytest.raises(TableError, match="ListUnitsByPatterns failed"):
        await query(Host(root), "SELECT name FROM services")


async def test_no_bus_is_an_error(root):
    """Without a bus the query fails with the reason."""
    with pytest.raises(TableError, match="No such file"):
        await query(Host(root), "SELECT name FROM services")


async def test_silent_bus_is_an_error(root):
    """A bus that never answers ends the query in time."""
    host = Host(root, {"services": {"timeout": 0.3}})
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(root / services.SOCKET.lstrip("/")))
        silent.listen()
        with pytest.raises(TableError, match=r"in [.0-9]+ seconds|timed out"):
            await query(host, "SELECT name FROM services")


def test_offered_where_systemd_manages(root, tmp_path):
    """The table is offered only where systemd is the manager."""
    assert services.zeek_agent_tables(Host(root))
    assert not services.zeek_agent_tables(Host(tmp_path))
