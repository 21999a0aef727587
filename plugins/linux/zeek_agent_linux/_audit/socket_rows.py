"""Pure: an event to a row of ``socket_events``."""

from typing import Any

from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.lookup import FAMILIES, Ends
from zeek_agent_linux._audit.records import SOCKADDR, fields, number
from zeek_agent_linux._audit.rows import common_row
from zeek_agent_linux._audit.sockaddr import UNIX, parse_sockaddr
from zeek_agent_linux._audit.syscalls import ACCEPT, CONNECT, LISTEN

ON_THIS_SIDE = LISTEN | {"bind"}
"""Calls that have no peer."""


def socket_row(event: Event) -> dict[str, Any] | None:
    """Return the row of *event*, with the side of the socket that the kernel recorded.

    The kernel records no address where the program wanted none, as many do
    with accept(2): the family is NULL then.
    """
    if event.syscall not in CONNECT | ACCEPT:
        return None
    row = common_row(event)
    row["fd"] = descriptor(event, row["exit"])
    address = next(
        (parse_sockaddr(fields(body).get("saddr")) for body in event.bodies(SOCKADDR)), None
    )
    if address is not None:
        side = "local" if event.syscall == "bind" else "remote"
        row["family"] = address.family
        row[f"{side}_address"] = address.address
        row[f"{side}_port"] = address.port
    return row


def descriptor(event: Event, returned: int | None) -> int | None:
    """Return the descriptor of the socket: the new one, where the call makes one."""
    fd = returned if event.syscall in ACCEPT else number(event.call.get("a0"), 16)
    return fd if fd is not None and 0 <= fd < 1 << 31 else None


def is_unix(row: dict[str, Any]) -> bool:
    """Return whether *row* is about a Unix socket."""
    return row.get("family") == UNIX


def complete(row: dict[str, Any], ends: Ends | None) -> None:
    """Fill in what the kernel did not record, from the socket as it is now.

    A descriptor may be another socket's by now, so what is known must agree.
    """
    if ends is None or not _agree(row, ends):
        return
    if row.get("family") is None:
        row["family"] = ends.family
    if ends.family not in FAMILIES:
        return
    row["protocol"] = ends.protocol
    if ends.local is not None:
        row["local_address"], row["local_port"] = ends.local
    if ends.remote is not None and row["syscall"] not in ON_THIS_SIDE:
        row["remote_address"], row["remote_port"] = ends.remote


def _agree(row: dict[str, Any], ends: Ends) -> bool:
    side = "local" if row["syscall"] in ON_THIS_SIDE else "remote"
    known = row.get(f"{side}_address")
    seen = ends.local if side == "local" else ends.remote
    if known is None:
        return seen is not None or ends.family not in FAMILIES
    if seen is None:
        return row.get("exit") != 0 and side == "remote"  # still being connected
    return seen[0] == known and row.get(f"{side}_port") in (0, seen[1])
