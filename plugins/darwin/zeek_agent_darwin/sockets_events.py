"""``sockets_events``: differences between two looks at all sockets."""

from collections.abc import Mapping
from typing import Any

from zeek_agent_core.api import Host, Origin, TableError, hookimpl
from zeek_agent_core.portable.socket_changes import Seen
from zeek_agent_core.portable.socket_polling import SETTINGS, Look, PollingSource
from zeek_agent_core.schema import sockets_events as schema
from zeek_agent_darwin._libproc import Libproc, SystemLibproc
from zeek_agent_darwin._sockets import parse_process, sockets


class LibprocSource(PollingSource):
    """Looks by libproc."""

    table: "SocketsEvents"

    def look(self) -> Look:
        """Return all sockets by the kernel's numbers for them."""
        system, found = self.table.system(), dict[Any, Seen]()
        for each in sockets(system, sorted(system.pids())):
            if each is not None:
                pid, socket = each
                found.setdefault(socket.id, Seen(pid, *socket[1:]))
        return Look(found, {})

    def owner(self, pid: int | None) -> Mapping[str, Any]:
        """Return name and IDs of a process."""
        known = None if pid is None else parse_process(self.table.system().process(pid))
        if known is None:
            return {}
        return {"process": known.name, "uid": known.uid, "gid": known.gid}


class SocketsEvents(schema.SocketsEvents):
    """Connections and listening sockets as they come and go, found by looking every second.

    macOS has no event for them that a program may have without a network
    extension. What lives shorter than the setting `interval` (1.0 s) is missed,
    `time` is the moment of the look. `established` is a connection that was
    opened or accepted, `failed` one that could not be opened, `listen` a socket
    that takes connections or datagrams, `closed` the end of either.
    """

    sources = (LibprocSource,)
    settings = SETTINGS
    origin = Origin(
        source="`proc_pidfdinfo` of libproc, differences",
        needs="root for the sockets of other users' processes",
        verified="structures against a C compiler; a scripted host with recorded buffers",
        null=("sent", "received", "error", "netns", "seuid"),
    )

    def __init__(self, host: Host, system: Libproc | None = None) -> None:
        """Ask *system*, which is the host's library unless it is given."""
        super().__init__(host)
        self._system = system

    def system(self) -> Libproc:
        """Return what is asked."""
        if self._system is None:
            try:
                self._system = SystemLibproc()
            except OSError as error:
                raise TableError(self.name, f"cannot load libproc: {error}") from error
        return self._system


@hookimpl
def zeek_agent_tables(host: Host) -> list[SocketsEvents]:
    """Offer the table on the host itself."""
    return [SocketsEvents(host)] if host.platform == "darwin" else []
