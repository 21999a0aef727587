"""Pure: the arguments of a program, from the records of an event.

A long list is spread over several EXECVE records, a long argument over pieces
`a3[0]`, `a3[1]`, ..., which are hexadecimal digits then (audit_log_execve_info
in kernel/auditsc.c).
"""

import re
from collections.abc import Iterable

from zeek_agent_core.api import text
from zeek_agent_linux._audit.records import decoded, unhexed

_ARGUMENT = re.compile(r"(?<!\S)a(\d{1,9})(?:\[(\d{1,9})\])?=(\S*)")


def parse_execve(bodies: Iterable[str]) -> list[str]:
    """Return the arguments in the EXECVE records *bodies*, in order; what is lost is left out."""
    whole: dict[int, str] = {}
    pieces: dict[int, dict[int, str]] = {}
    for body in bodies:
        for at, piece, value in _ARGUMENT.findall(body):  # not argc, nor a1_len
            if not piece:
                whole[int(at)] = value
            else:
                pieces.setdefault(int(at), {})[int(piece)] = value
    for at, parts in pieces.items():
        whole[at] = "".join(part for _, part in sorted(parts.items()))
    return [_argument(whole[at]) for at in sorted(whole)]


def _argument(value: str) -> str:
    if value == '""':
        return ""
    if value.startswith('"'):
        return value.strip('"')
    raw = unhexed(value)
    return value if raw is None else text(raw)


def parse_title(body: str) -> list[str]:
    """Return the arguments in a PROCTITLE record; the kernel cuts them after 128 bytes."""
    value = body.removeprefix("proctitle=").strip()
    raw = None if value.startswith('"') else unhexed(value)
    if raw is None:
        shown = decoded(value)
        return [] if shown is None else [shown]
    return [text(part) for part in raw.rstrip(b"\0").split(b"\0")] if raw.strip(b"\0") else []


def quoted(arguments: Iterable[str]) -> str:
    """Return *arguments* as one line: each in double quotes, with spaces between them."""
    return " ".join(f'"{argument}"' for argument in arguments)
