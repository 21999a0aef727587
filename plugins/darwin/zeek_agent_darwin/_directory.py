"""Users and groups of Open Directory, from `dscl -plist`."""

import os
import plistlib
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from zeek_agent_core.api import storable

DSCL = "/usr/bin/dscl"
PATIENCE = 20.0
ADMIN = 80
"""ID of the group `admin`."""
FIRST_ID = 500
"""IDs below are the system's."""
TRUE = frozenset({"1", "yes", "true"})

Record = Mapping[str, Sequence[str]]
"""The values of each attribute."""


class Directory(Protocol):
    """What is asked of the system."""

    def read(self, kind: str, attributes: Sequence[str]) -> bytes:
        """Return the attributes of all records of *kind*, `Users` or `Groups`, as a plist."""

    def group_ids(self, name: str, gid: int) -> Collection[int]:
        """Return the IDs of all groups that a user is in, nested ones included."""


class LocalDirectory:
    """The local node of this host's Open Directory."""

    def read(self, kind: str, attributes: Sequence[str]) -> bytes:
        """Ask dscl(1); raise `OSError` if it fails."""
        command = [DSCL, "-plist", ".", "-readall", f"/{kind}", *attributes]
        done = subprocess.run(  # noqa: S603 - a fixed path, no shell
            command, capture_output=True, check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip()[:200]
            raise OSError(f"dscl ended with status {done.returncode}: {reason}")
        return done.stdout

    def group_ids(self, name: str, gid: int) -> Collection[int]:
        """Ask the C library, which asks Open Directory."""
        return os.getgrouplist(name, gid)


def parse_records(raw: bytes) -> Iterator[Record]:
    """Yield the records of dscl's plist, attributes without their prefix.

    Raises `ValueError` if it is no plist of records.
    """
    try:
        records = plistlib.loads(raw, fmt=plistlib.FMT_XML)
    except Exception as error:  # plistlib lets errors of the XML parser through
        raise ValueError(f"dscl gave no property list: {error}") from error
    if not isinstance(records, list):
        raise ValueError("dscl gave no list of records")  # noqa: TRY004 - wrong input
    for record in records:
        if isinstance(record, dict):
            yield {
                str(name).rpartition(":")[2]: [storable(v) for v in values if isinstance(v, str)]
                for name, values in record.items()
                if isinstance(values, list)
            }


def first(record: Record, name: str) -> str | None:
    """Return the first value of an attribute; None if there is none."""
    values = record.get(name)
    return (values[0] or None) if values else None


def number(record: Record, name: str) -> int | None:
    """Return an ID; those beyond 31 bits are negative here, as with -2 for `nobody`."""
    value = first(record, name)
    try:
        return int(value) & 0xFFFFFFFF if value is not None else None
    except ValueError:
        return None


def is_system(record: Record, number: int | None) -> bool:
    """Return whether a record is the system's: hidden, underscored, or with a low ID."""
    name = first(record, "RecordName") or ""
    hidden = (first(record, "IsHidden") or "").lower() in TRUE
    nobody = number is not None and (number < FIRST_ID or number > 1 << 31)
    return hidden or nobody or name.startswith("_")


def read(directory: Directory, kind: str, attributes: Sequence[str]) -> list[Record]:
    """Return the records of *kind* that have a name; raise `OSError` with the reason."""
    try:
        records = list(parse_records(directory.read(kind, attributes)))
    except (ValueError, subprocess.TimeoutExpired) as error:
        raise OSError(f"cannot read {kind.lower()} of Open Directory: {error}") from error
    return [record for record in records if first(record, "RecordName")]


def admins(directory: Directory, name: str, gid: int | None) -> Any:
    """Return whether a user is in the group `admin`, itself or through others."""
    try:
        return ADMIN in directory.group_ids(name, gid if gid is not None else -2)
    except OSError:
        return None
