"""Rows of ``mounts``, where psutil is the way to know them."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from zeek_agent_core.api import Host, Row, Where, storable
from zeek_agent_core.schema import mounts


class Disks(Protocol):
    """The part of psutil that is asked."""

    def disk_partitions(self, all: bool) -> Iterable[Any]:  # noqa: A002, FBT001 - psutil's
        """Return `device`, `mountpoint`, `fstype` and `opts` of what is mounted."""


class Mounts(mounts.Mounts):  # noqa: D101 - described by its declaration
    def __init__(self, host: Host, disks: Disks | None = None) -> None:
        """Ask *disks*, which is psutil unless it is given."""
        super().__init__(host)
        self._disks = disks

    def rows(self, where: Where) -> Iterator[Row]:  # noqa: ARG002 - there are few
        """Yield a row per mount."""
        asked: Any = self._disks
        if asked is None:
            import psutil as asked  # noqa: PLC0415 - 10 ms that not every agent needs
        yield from map(mount, asked.disk_partitions(all=True))


def mount(found: Any) -> Row:
    """Return the row for one partition of psutil."""
    options = {option for option in found.opts.split(",") if option}
    return {
        "device": storable(found.device) or None,
        "path": storable(found.mountpoint),
        "type": found.fstype or None,
        "options": options - {"rw", "ro"} | ({"ro"} & options),
        "is_read_only": "ro" in options,
    }
