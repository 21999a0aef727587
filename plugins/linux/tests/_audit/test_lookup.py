"""What is asked of a process: its sockets, threads and directories; of this very process."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from zeek_agent_linux._audit.lookup import Ends, directory, is_thread, socket_ends

OWN = os.getpid()


def open_files():
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_both_ends_are_found(family, address):
    """A connection has two ends, what listens has one."""
    with socket.socket(family) as listener, socket.socket(family) as client:
        listener.bind((address, 0))
        listener.listen()
        client.connect(listener.getsockname())
        here, there = client.getsockname()[1], listener.getsockname()[1]
        assert socket_ends(OWN, client.fileno()) == Ends(
            family, 6, (address, here), (address, there)
        )
        assert socket_ends(OWN, listener.fileno()) == Ends(family, 6, (address, there), None)


def test_an_ipv4_peer_of_an_ipv6_socket_is_ipv4():
    """A mapped address is shown as what it is."""
    with socket.socket(socket.AF_INET6) as listener, socket.socket() as client:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", 0))
        listener.listen()
        client.connect(("127.0.0.1", listener.getsockname()[1]))
        peer, _ = listener.accept()
        with peer:
            found = socket_ends(OWN, peer.fileno())
    assert found.remote[0] == found.local[0] == "127.0.0.1"


def test_other_sockets_have_no_ends():
    """A Unix socket has a family, and no addresses that count here."""
    with socket.socket(socket.AF_UNIX) as other:
        assert socket_ends(OWN, other.fileno()) == Ends(1, 0, None, None)


def test_what_is_no_socket_is_none(tmp_path):
    """A file, a closed descriptor, a process that is gone: nothing is known, nothing stays open."""
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    before = open_files()
    with (tmp_path / "file").open("w") as file:
        assert socket_ends(OWN, file.fileno()) is None
    assert socket_ends(OWN, 987_654) is None
    assert socket_ends(process.pid, 0) is None
    assert open_files() == before


def test_sockets_of_another_process_are_found():
    """Another process is asked without its taking part, and keeps its socket."""
    code = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
    code += "print(s.fileno(), s.getsockname()[1], flush=True); input(); print(s.getsockname()[1])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        descriptor, port = map(int, process.stdout.readline().split())
        assert socket_ends(process.pid, descriptor).local == ("127.0.0.1", port)
        assert int(process.communicate("\n")[0]) == port


def test_threads_are_told_from_processes():
    """A thread belongs to its process; another process does not; what is gone is not known."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    try:
        assert is_thread("", OWN, thread.native_id)
        assert is_thread("", OWN, os.getppid()) is False
        assert is_thread("", OWN, process.pid) is None
    finally:
        end.set()
        thread.join()


def test_directories_are_found(tmp_path):
    """A descriptor has the path of its directory; a pipe has none."""
    opened = os.open(tmp_path, os.O_RDONLY)
    reading, writing = os.pipe()
    try:
        assert directory("", OWN, opened) == str(tmp_path)
        assert directory("", OWN, reading) is None
        assert directory("", OWN, 987_654) is None
    finally:
        for descriptor in (opened, reading, writing):
            os.close(descriptor)
