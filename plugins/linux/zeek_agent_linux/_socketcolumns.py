"""Columns of ``sockets`` from the records of the kernel, in few steps for thousands of them."""

import sys
from collections.abc import Iterator
from itertools import compress, count
from socket import AF_INET, inet_ntop
from typing import Any

from zeek_agent_core.api import Chunk, Where
from zeek_agent_linux._bpf.programs.open_sockets import NO_LIST, OPEN
from zeek_agent_linux._memo import Memo
from zeek_agent_linux._opensockets import NAMES, PADDED
from zeek_agent_linux._socklists import V6
from zeek_agent_linux._sockquery import FAMILIES, STATES

AT_ONCE = 4096
IPV4 = Memo[int, str](lambda number: inet_ntop(AF_INET, number.to_bytes(4, sys.byteorder)))
"""Text of addresses by the number that their four bytes are on this machine."""
AS_THEY_ARE = (
    ("protocol", "protocol"), ("local_port", "number"), ("remote_port", "remote_port"),
    ("netns", "netns"),
)  # fmt: skip
ADDRESSES = (("local_addr", "local"), ("remote_addr", "remote"))
LETTERS = (("family", FAMILIES), ("state", {0: None, **STATES}))


def chunks(raw: bytes, where: Where, *, is_owned: bool) -> Iterator[Chunk]:
    """Yield the columns that *where* wants of the sockets in *raw*, some thousands at a time.

    Those that are in none of the kernel's lists are left out. All have a process if *is_owned*.
    """
    for some in OPEN.parts(raw, AT_ONCE):
        lists = OPEN.letters(some, "list")
        part = OPEN.chosen(some, compress(count(), lists)) if NO_LIST in lists else some
        columns = _columns(part, where)
        if not is_owned:
            pids = columns["pid"] = [pid or None for pid in columns["pid"]]
            if "process" in columns:
                names = zip(pids, columns["process"], strict=True)
                columns["process"] = [pid and name for pid, name in names]
        yield columns


def _columns(raw: bytes, where: Where) -> dict[str, Any]:
    columns: dict[str, Any] = {"pid": OPEN.view(raw, "pid")}
    if where.wants("process"):
        pids = OPEN.column(raw, "pid")
        columns["process"] = list(map(_names(raw, pids).__getitem__, pids))
    for name, field in AS_THEY_ARE:
        if where.wants(name):
            columns[name] = OPEN.view(raw, field)
    for name, texts in LETTERS:
        if where.wants(name):
            columns[name] = list(map(texts.__getitem__, OPEN.letters(raw, name)))
    for name, field in ADDRESSES:
        if where.wants(name):
            columns[name] = _addresses(raw, field)
    return columns


def _names(raw: bytes, pids: list[int]) -> dict[int, str]:
    """Return the names of processes; each has many sockets, as a rule."""
    offset, size = OPEN.places["name"]
    starts = {pid: at * OPEN.size + offset for at, pid in enumerate(pids)}
    return {pid: NAMES[raw[start : start + size]] for pid, start in starts.items()}


def _addresses(raw: bytes, field: str) -> list[str]:
    """Return addresses as text."""
    families = OPEN.letters(raw, "family")
    texts = list(map(IPV4.__getitem__, OPEN.column(raw, field, "I")))
    if V6 in families:
        offset, size = OPEN.places[field]
        for at in (at for at, family in enumerate(families) if family == V6):
            start = at * OPEN.size + offset
            texts[at] = PADDED[V6][raw[start : start + size]]
    return texts
