"""Only an osquery of root's or of our own is asked, over a socket that others cannot write to."""

import os
import socket
import subprocess
import sys

import pytest
from zeek_agent_osquery import _trust
from zeek_agent_osquery._errors import LostError
from zeek_agent_osquery._osquery import Osquery

from zeek_agent_core.api import Host

SERVE = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
made = socket.socket(fileno=int(sys.argv[3]))
made.listen()
print("ready", flush=True)
made.accept()[0].recv(1)
"""
NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="another user's process takes root")


@pytest.fixture
def listener(tmp_path):
    """Return a socket that listens, and where."""
    tmp_path.chmod(0o755)
    path = tmp_path / "em"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen()
        yield path


def connect(path):
    """Connect as the pack does."""
    osquery = Osquery(Host(settings={"osquery": {"extensions_socket": str(path)}}))
    with osquery.connected():
        pass


def test_a_socket_of_our_own(listener):
    """A socket of ours is trusted."""
    connect(listener)


def test_a_socket_that_all_may_write_to(listener):
    """Where everybody can register tables with osquery, its tables are not trusted."""
    listener.chmod(0o777)
    with pytest.raises(LostError, match=r"not trusted: everybody may write to it; run: chmod o-w"):
        connect(listener)


def test_a_directory_that_all_may_write_to(listener):
    """Where everybody can put another socket in its place, neither is trusted."""
    listener.parent.chmod(0o777)
    with pytest.raises(LostError, match="everybody may write to it"):
        connect(listener)
    listener.parent.chmod(0o1777)
    connect(listener)


def test_what_is_no_socket(tmp_path):
    """A file in its place is not opened."""
    (tmp_path / "em").write_text("")
    with pytest.raises(LostError, match="it is no socket"):
        connect(tmp_path / "em")


@needs_root
def test_a_socket_of_another_user(listener):
    """A socket of another user is not trusted."""
    os.chown(listener, NOBODY, -1)
    with pytest.raises(LostError, match="it belongs to another user"):
        connect(listener)


@needs_root
def test_a_directory_of_another_user(listener):
    """A directory of another user is not trusted."""
    os.chown(listener.parent, NOBODY, -1)
    with pytest.raises(LostError, match="it belongs to another user"):
        connect(listener)


@needs_root
def test_a_process_of_another_user(tmp_path):
    """The file may be root's: if the process is not, it is not trusted."""
    tmp_path.chmod(0o755)
    path = tmp_path / "em"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        command = [sys.executable, "-c", SERVE, str(path), str(NOBODY), str(made.fileno())]
        with subprocess.Popen(command, pass_fds=[made.fileno()], stdout=subprocess.PIPE) as other:
            assert other.stdout.readline() == b"ready\n"
            with pytest.raises(LostError, match=f"user {NOBODY} answers there"):
                connect(path)
            other.kill()


def test_a_socket_that_nobody_serves(tmp_path):
    """A socket that was left behind is told from one that is not there."""
    path = tmp_path / "em"
    with pytest.raises(LostError, match="osquery does not run: there is no"):
        connect(path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    with pytest.raises(LostError, match="osquery does not run: nobody answers at"):
        connect(path)


def test_who_is_at_the_other_end():
    """The kernel tells the user of the other end."""
    one, other = socket.socketpair()
    with one, other:
        assert _trust.peer_user(one) == os.geteuid()


def test_a_full_queue_is_no_reason_to_wait(tmp_path):
    """When osquery does not take connections, the deadline holds for connecting too."""
    path = tmp_path / "em"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen(0)
        others = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for other in others:
            other.settimeout(0)
            try:
                other.connect(str(path))
            except BlockingIOError:
                break
        settings = {"extensions_socket": str(path), "timeout": 0.2}
        with pytest.raises(LostError, match="cannot reach osquery"):
            Osquery(Host(settings={"osquery": settings})).connected().__enter__()
        for other in others:
            other.close()
