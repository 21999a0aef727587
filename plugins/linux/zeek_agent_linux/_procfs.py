"""Reads and parses the files of one process below ``/proc``.

Sources: proc(5), fs/proc/array.c and fs/proc/base.c of the kernel.
"""

import os
import re
from collections.abc import Iterator

from zeek_agent_core.api import text

BUFFER = 4096
"""Holds ``stat`` and all of ``status`` that is used; one read takes either whole."""

# Positions in the fields of `stat` that follow the name.
PPID, TTY, UTIME, STIME, PRIORITY, STARTTIME, VSIZE, RSS = 1, 4, 11, 12, 15, 19, 20, 21

_WORKER = re.compile(rb"(kworker/u?\d+:\d+H?)[-+].*", re.DOTALL)
_SPLITS = RSS + 1
_IDS = 10
"""Words of the lines `Uid:` and `Gid:`."""
OPEN = os.O_RDONLY | os.O_CLOEXEC


def read(path: str, size: int = BUFFER) -> bytes:
    """Return what one read of the file gives, without the overhead of `open`."""
    file = os.open(path, OPEN)
    try:
        return os.read(file, size)
    finally:
        os.close(file)


def read_up_to(path: str, most: int) -> bytes:
    """Return the file's content, cut at *most* bytes."""
    file = os.open(path, OPEN)
    try:
        content = b""
        while len(content) < most and (more := os.read(file, most - len(content))):
            content += more
        return content
    finally:
        os.close(file)


def listed(proc: str) -> Iterator[str]:
    """Return the process IDs below the directory *proc*, ascending as the kernel lists them."""
    return filter(str.isdecimal, os.listdir(proc))  # noqa: PTH208 - paths cost more


def name(raw: bytes) -> str:
    """Return the name of a process as text, without what a kernel worker is busy with.

    A worker's name gains the work queue it serves at the moment, as in
    `kworker/u8:0-events` (wq_worker_comm in kernel/workqueue.c): to leave it
    there would make the worker another process every few seconds.
    """
    if raw.startswith(b"kworker/"):
        raw = _WORKER.sub(rb"\1", raw)
    return text(raw)


def parse_stat(raw: bytes) -> tuple[bytes, list[bytes]]:
    """Return the name in ``stat`` and the fields after it, up to `RSS`.

    The name is not escaped and may hold spaces, parentheses and newlines, so
    it ends at the last parenthesis. Raises `ValueError` on truncated text.
    """
    closing = raw.rindex(b")")
    fields = raw[closing + 2 :].split(b" ", _SPLITS)
    if len(fields) <= _SPLITS:
        raise ValueError("truncated stat")
    return raw[raw.index(b"(") + 1 : closing], fields


def parse_ids(raw: bytes) -> tuple[int, int, int, int]:
    """Return real and effective user ID, real and effective group ID from ``status``.

    Raises `ValueError` on truncated text.
    """
    # The name in the first line is escaped: no newline can be smuggled in.
    words = raw[raw.index(b"\nUid:\t") + 1 :].split(None, _IDS)
    if len(words) <= _IDS or words[5] != b"Gid:":
        raise ValueError("truncated status")
    return int(words[1]), int(words[2]), int(words[6]), int(words[7])


def is_leader(raw: bytes) -> bool:
    """Return whether ``status`` is of a process, not of one of its further threads.

    Threads are not listed in ``/proc``, but can be opened there by their ID.
    """
    start = raw.index(b"\nTgid:\t") + 7
    group = raw[start : raw.index(b"\n", start)]
    return raw.find(b"\nPid:\t" + group + b"\n") >= 0


def parse_cmdline(raw: bytes) -> bytes | None:
    """Return the arguments joined by spaces; None for none (kernel threads, zombies)."""
    return raw.rstrip(b"\0").replace(b"\0", b" ") or None
