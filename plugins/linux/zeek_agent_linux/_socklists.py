"""Lists the sockets of one network namespace, from netlink or from ``/proc/net``.

What netlink cannot tell is read from the list of that protocol: ping sockets
always, others where the kernel was built without that part of sock_diag(7).
"""

import socket
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from typing import NamedTuple

from zeek_agent_core.api import text
from zeek_agent_linux import _netns, _procfs, _procnet, _sockdiag
from zeek_agent_linux._netns import Namespace
from zeek_agent_linux._sockdiag import Filter, Socket

TCP = socket.IPPROTO_TCP
V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)
LIST_BYTES = 1 << 28


class Kind(NamedTuple):
    """A protocol of a family, and the list below ``/proc/net`` that shows it."""

    family: int
    protocol: int
    list: str
    is_dumped: bool = True
    """Whether netlink can know it."""


KINDS = (
    Kind(V4, socket.IPPROTO_ICMP, "icmp", is_dumped=False),
    Kind(V6, socket.IPPROTO_ICMPV6, "icmp6", is_dumped=False),
    Kind(V4, socket.IPPROTO_RAW, "raw"),
    Kind(V6, socket.IPPROTO_RAW, "raw6"),
    Kind(V4, TCP, "tcp"),
    Kind(V6, TCP, "tcp6"),
    Kind(V4, socket.IPPROTO_UDP, "udp"),
    Kind(V6, socket.IPPROTO_UDP, "udp6"),
    Kind(V4, socket.IPPROTO_UDPLITE, "udplite"),
    Kind(V6, socket.IPPROTO_UDPLITE, "udplite6"),
)


class Listing(NamedTuple):
    """The sockets of one kind in one namespace."""

    netns: int | None
    kind: Kind
    sockets: list[Socket]


class Lister:
    """Lists sockets; remembers what the kernel cannot tell over netlink."""

    def __init__(self, proc: str, warn: Callable[[str], None], *, is_live: bool) -> None:
        """Read lists below *proc*; use netlink only if that *is_live*, not captured."""
        self._proc = proc
        self._warn = warn
        self._is_live = is_live
        # Each refusal makes the kernel look for a module; so it is asked once.
        self._refused: set[Kind] = set()

    @property
    def source(self) -> str:
        """What the sockets come from."""
        is_refused = all(kind in self._refused for kind in KINDS if kind.is_dumped)
        return "sock_diag" if self._is_live and not is_refused else "/proc/net"

    def sockets(
        self, namespaces: Iterable[Namespace], kinds: Collection[Kind], only: Filter
    ) -> list[Listing]:
        """Return the sockets of *kinds* in all of *namespaces*."""
        own = _netns.own(self._proc)
        listings: list[Listing] = []
        foreign = []
        for namespace in namespaces:
            if namespace.inode == own.inode:
                listings += self._inside(namespace, f"{self._proc}/net", kinds, only)
            else:
                foreign.append(namespace)
        if foreign:
            listings += self._foreign(foreign, kinds, only)
        return listings

    def dumped(self, kinds: Collection[Kind], only: Filter) -> list[Listing] | None:
        """Return sockets of this thread's namespace, None unless netlink tells all of them."""
        if not self._is_live or not self._refused.isdisjoint(kinds):
            return None
        listings = self._inside(_netns.own(self._proc), f"{self._proc}/net", kinds, only)
        return listings if self._refused.isdisjoint(kinds) else None

    def _foreign(
        self, namespaces: list[Namespace], kinds: Collection[Kind], only: Filter
    ) -> list[Listing]:
        listings: list[Listing] = []
        visited: dict[Namespace, list[Listing] | OSError] = {}
        if self._is_live:
            net = f"{self._proc}/thread-self/net"
            visited = _netns.visit(namespaces, lambda n: self._inside(n, net, kinds, only))
        for namespace in namespaces:
            result = visited.get(namespace)
            if result is None or isinstance(result, OSError):
                if namespace.net is None:
                    self._warn(f"cannot enter network namespace {namespace.path}: {result}")
                    continue
                # Who may not enter it may still read the lists of a process in it.
                result = self._from_files(namespace, namespace.net, kinds, only)
            listings += result
        return listings

    def _inside(
        self, namespace: Namespace, net: str, kinds: Collection[Kind], only: Filter
    ) -> list[Listing]:
        """Return the sockets of the namespace that this thread is in."""
        if not self._is_live:
            return self._from_files(namespace, net, kinds, only)
        with ExitStack() as stack:
            try:
                # It would keep the namespace alive, so it is closed after each use.
                netlink = stack.enter_context(_sockdiag.connect())
            except OSError:
                self._refused.update(KINDS)
                return self._from_files(namespace, net, kinds, only)
            return [
                Listing(namespace.inode, kind, self._dump(netlink, net, kind, only))
                for kind in kinds
            ]

    def _from_files(
        self, namespace: Namespace, net: str, kinds: Collection[Kind], only: Filter
    ) -> list[Listing]:
        return [Listing(namespace.inode, kind, self._read(net, kind, only)) for kind in kinds]

    def _dump(self, netlink: socket.socket, net: str, kind: Kind, only: Filter) -> list[Socket]:
        if kind.is_dumped and kind not in self._refused:
            try:
                return _sockdiag.dump(netlink, kind.family, kind.protocol, only)
            except OSError as error:
                if isinstance(error, BlockingIOError):
                    self._warn(f"no answer from the kernel to a request for {kind.list} sockets")
                else:
                    self._refused.add(kind)
        return self._read(net, kind, only)

    def _read(self, net: str, kind: Kind, only: Filter) -> list[Socket]:
        path = f"{net}/{kind.list}"
        try:
            return _procnet.parse_sockets(text(_procfs.read_up_to(path, LIST_BYTES)), only)
        except FileNotFoundError:
            if kind.list == "tcp":  # the others depend on how the kernel was built and is set up
                self._warn(f"cannot read {path}: no such file")
        except (OSError, ValueError) as error:
            self._warn(f"cannot read {path}: {error}")
        return []
