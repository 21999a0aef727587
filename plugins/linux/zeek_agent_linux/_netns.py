"""Finds the network namespaces of the host, and works inside them.

Sources: namespaces(7), network_namespaces(7), setns(2), ip-netns(8).
"""

import ctypes
import os
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from zeek_agent_linux import _procfs

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
NAMED = ("/run/netns", "/run/docker/netns")
"""Where namespaces are mounted so that they last without a process."""

_LINK = re.compile(r"net:\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace: its inode number, and where it can be opened."""

    inode: int | None
    path: str
    net: str | None
    """Directory with its lists of sockets; None if no process shows them."""


@dataclass(slots=True)
class Namespaces:
    """Namespaces by inode number, and how many processes would not say theirs."""

    known: dict[int, Namespace] = field(default_factory=dict)
    denied: int = 0

    def add_process(self, proc: str, pid: str | int) -> None:
        """Add the namespace that a process is in."""
        path = f"{proc}/{pid}/ns/net"
        try:
            found = _LINK.fullmatch(os.readlink(path))  # noqa: PTH115 - for each process
        except PermissionError:
            self.denied += 1
            return
        except OSError:
            return
        if found:
            inode = int(found[1])
            if inode not in self.known:
                self.known[inode] = Namespace(inode, path, f"{proc}/{pid}/net")

    def add_mounted(self, prefix: str) -> None:
        """Add the namespaces that are mounted under a name."""
        for directory in NAMED:
            with suppress(OSError):
                named = Path(prefix + directory)
                own = named.stat().st_dev
                for entry in named.iterdir():
                    status = entry.stat()
                    # An unmounted name is left behind as an empty file of the directory's device.
                    if status.st_dev != own and status.st_ino not in self.known:
                        self.known[status.st_ino] = Namespace(status.st_ino, str(entry), None)


def own(proc: str) -> Namespace:
    """Return the namespace of the agent itself."""
    namespaces = Namespaces()
    namespaces.add_process(proc, "self")
    inode = next(iter(namespaces.known), None)
    return Namespace(inode, f"{proc}/self/ns/net", f"{proc}/net")


def seen(proc: str, prefix: str) -> Namespaces:
    """Return all namespaces that can be found, that of the agent first."""
    first = own(proc)
    found = Namespaces() if first.inode is None else Namespaces({first.inode: first})
    for pid in _procfs.listed(proc):
        found.add_process(proc, pid)
    found.add_mounted(prefix)
    return found


def visit(
    namespaces: Iterable[Namespace], work: Callable[[Namespace], T]
) -> dict[Namespace, T | OSError]:
    """Call *work* inside each of *namespaces*; return its results, or why there is none.

    A thread that has entered another namespace is not fit for anything else,
    so one is started for the visits and thrown away.
    """
    results: dict[Namespace, T | OSError] = {}

    def tour() -> None:
        for namespace in namespaces:
            try:
                _enter(namespace.path)
                results[namespace] = work(namespace)
            except OSError as error:
                results[namespace] = error

    thread = threading.Thread(target=tour, name="netns", daemon=True)
    thread.start()
    thread.join()
    return results


def _enter(path: str) -> None:
    """Move this thread to the namespace at *path*; `os.setns` comes with Python 3.12."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(file, CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
    finally:
        os.close(file)
