"""Open sockets and the processes that hold them, from one pass over all descriptors."""

from typing import NamedTuple

from zeek_agent_linux._bpf.iterator import Iterator
from zeek_agent_linux._bpf.kernel import Kernel
from zeek_agent_linux._bpf.programs import open_sockets as program


class Holder(NamedTuple):
    """A process that holds a socket; of several, the oldest."""

    start: int
    """When it started, in ns since boot."""
    pid: int
    name: bytes


class OpenSockets:
    """The iterator over open sockets."""

    def __init__(self, kernel: Kernel) -> None:
        """Load it; raises `OSError`."""
        target = kernel.function(program.TARGET)
        self._iterator = Iterator("zeek_sockets", program.open_sockets(kernel), target)

    def read(self) -> bytes:
        """Return records of `program.OPEN`."""
        return self._iterator.read()

    def holders(self) -> dict[int, Holder]:
        """Return the oldest process that holds each socket, by the socket's address."""
        found: dict[int, Holder] = {}
        for fields in program.OPEN.struct.iter_unpack(self.read()):
            holder = Holder(fields[START], fields[PID], fields[NAME])
            known = found.get(fields[SOCKET])
            if known is None or holder < known:
                found[fields[SOCKET]] = holder
        return found

    def close(self) -> None:
        """Let go of everything in the kernel; twice is fine."""
        self._iterator.close()


SOCKET, START, PID, NAME = (
    program.OPEN.names.index(name) for name in ("socket", "start", "pid", "name")
)
