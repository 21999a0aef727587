"""The sockets that are there when events begin."""

import os
from collections.abc import Iterator
from contextlib import suppress

from zeek_agent_core.api import Host, Row, Sourced, Where
from zeek_agent_core.schema import sockets as schema
from zeek_agent_linux._sockets import ProcSource
from zeek_agent_linux._sockrows import Flow

TCP, UDP = 6, 17
COLUMNS = frozenset(column.name for column in schema.Sockets.columns)
BEFORE = {"SYN_SENT", "SYN_RECEIVED", "CLOSED", "TIME_WAIT"}
"""States of what is no connection yet, or no more."""


def flows(host: Host, *, with_owners: bool, listening: bool = False) -> list[Flow]:
    """Return the TCP connections and listening sockets of all network namespaces; for a thread.

    With *listening* only these are returned.
    """
    columns = COLUMNS if with_owners else COLUMNS - {"pid", "process"}
    allowed: dict[str, set[object]] = {"protocol": {TCP}}
    if listening:
        allowed["state"] = {"LISTEN"}
    rows = list(ProcSource(host, lambda _: None).rows(Where(columns, allowed=allowed)))
    ports = {(row["netns"], row["local_port"]) for row in rows if row["state"] == "LISTEN"}
    found = []
    for row in rows:
        if row["state"] in BEFORE:
            continue
        is_in = (row["netns"], row["local_port"]) in ports
        flow = Flow(
            key=" ".join(map(str, row.values())),
            family=row["family"],
            protocol=TCP,
            local_addr=row["local_addr"],
            local_port=row["local_port"],
            remote_addr=row["remote_addr"],
            remote_port=row["remote_port"],
            pid=row.get("pid"),
            process=row.get("process"),
            netns=row["netns"],
        )
        if row["state"] == "LISTEN":
            flow.is_listening = True
        else:
            flow.direction = "in" if is_in else "out"
        _add_ids(f"{host.prefix}/proc/{flow.pid}", flow)
        found.append(flow)
    return found


def _add_ids(directory: str, flow: Flow) -> None:
    if flow.pid is not None:
        with suppress(OSError):
            status = os.stat(directory)  # noqa: PTH116 - paths cost more
            flow.uid, flow.gid = status.st_uid, status.st_gid


def open_sockets(table: Sourced) -> Iterator[Row]:
    """Yield a row of ``sockets_events`` for each socket that is open."""
    source = ProcSource(table.host, table.warn)
    columns = COLUMNS & table.wanted.columns | {"protocol", "state"}
    for row in source.rows(Where(columns, allowed={"protocol": {TCP, UDP}})):
        yield {**row, "state": "open"}
