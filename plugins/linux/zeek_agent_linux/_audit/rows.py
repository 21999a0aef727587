"""Pure: what the rows of all tables share."""

from typing import Any

from zeek_agent_linux._audit.assembler import Event
from zeek_agent_linux._audit.records import decoded, identity, number
from zeek_agent_linux._audit.syscalls import arch_of


def common_row(event: Event) -> dict[str, Any]:
    """Return who made the call, when, and what became of it."""
    call = event.call
    return {
        "syscall": event.syscall,
        "pid": number(call.get("pid")),
        "ppid": number(call.get("ppid")),
        "auid": identity(call.get("auid")),
        "uid": identity(call.get("uid")),
        "euid": identity(call.get("euid")),
        "gid": identity(call.get("gid")),
        "egid": identity(call.get("egid")),
        "exe": decoded(call.get("exe")),
        "exit": number(call.get("exit")),
        "time": event.stamp.time,
        "comm": decoded(call.get("comm")),
        "ses": identity(call.get("ses")),
        "key": key_of(call.get("key")),
        "success": {"yes": True, "no": False}.get(call.get("success", "")),
        "arch": arch_of(call.get("arch")),
        "serial": event.stamp.serial,
    }


def key_of(value: str | None) -> str | None:
    """Return the key of a rule; several of them are separated by commas."""
    key = decoded(value)
    return None if key is None else key.replace("\1", ",")
