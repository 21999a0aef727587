"""Pure: an event to a row of ``process_events``."""

from collections.abc import Callable
from typing import Any

from zeek_agent_linux._audit.arguments import parse_execve, parse_title, quoted
from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.records import CWD, EXECVE, PATH, PROCTITLE, decoded, fields, number
from zeek_agent_linux._audit.rows import common_row
from zeek_agent_linux._audit.syscalls import EXEC, FORK

CLONE_THREAD = 0x10000
"""Flag of clone(2): the child is a thread of the caller."""

IsThread = Callable[[int, int], bool | None]
"""Whether an ID is that of a thread of a process; None if it is gone already."""


def process_row(event: Event, is_thread: IsThread) -> dict[str, Any] | None:
    """Return the row of *event*; None for calls that failed, and for new threads."""
    if event.syscall not in EXEC | FORK or event.call.get("success") != "yes":
        return None
    row = common_row(event)
    row["tty"] = terminal(event.call.get("tty"))
    if event.syscall in FORK and not _add_child(row, event, is_thread):
        return None
    _add_arguments(row, event)
    if event.syscall in EXEC:
        _add_file(row, event)
    return row


def _add_child(row: dict[str, Any], event: Event, is_thread: IsThread) -> bool:
    """Fill in the new process; False if it is a thread.

    The flags of clone3 are in memory of the caller, which the kernel does not
    record, so its child is looked at.
    """
    child = row["child_pid"] = row["exit"]
    if event.syscall == "clone":
        return not (number(event.call.get("a0"), 16) or 0) & CLONE_THREAD
    if event.syscall == "clone3" and child is not None and row["pid"] is not None:
        answer = is_thread(row["pid"], child)
        if answer is None:
            row["child_pid"] = None
        return not answer
    return True


def _add_arguments(row: dict[str, Any], event: Event) -> None:
    records = event.bodies(EXECVE)
    if records:
        row["args"] = parse_execve(records)
        row["cmdline"] = quoted(row["args"])
    elif titles := event.bodies(PROCTITLE):
        row["cmdline"] = quoted(parse_title(titles[0])) or None


def _add_file(row: dict[str, Any], event: Event) -> None:
    for body in event.bodies(CWD):
        row["cwd"] = decoded(body.removeprefix("cwd="))
    for body in event.bodies(PATH):
        if body.startswith("item=0 "):
            found = fields(body)
            row["path"] = decoded(found.get("name"))
            row["mode"] = number(found.get("mode"), 8)
            row["inode"] = number(found.get("inode"))
            row["ouid"] = number(found.get("ouid"))
            row["ogid"] = number(found.get("ogid"))


def terminal(value: str | None) -> str | None:
    """Return the name of a terminal; None if there is none."""
    return None if value in (None, "(none)", "?") else value
