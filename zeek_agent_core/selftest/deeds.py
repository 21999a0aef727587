"""What the self-test does on the host, and where it must appear then."""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

Row = Mapping[str, Any]

RUN_SECONDS = 2.5
"""How long a program runs before it ends."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Something done on the host."""

    name: str
    table: str
    """Where it must appear."""
    sql: str
    act: Callable[[], AbstractContextManager[Callable[[Row], bool]]]
    """Does it, and undoes it; gives what recognizes its row in the result of *sql*."""
    obstacle: str = ""
    """Why it cannot be done on this host."""


def deeds(directory: Path) -> list[Deed]:
    """Return all deeds; those that need a file make it in *directory*."""
    token = f"zeek-agent self-test {secrets.token_hex(8)}"
    here = str(directory).replace("'", "''")
    files = f"SELECT path FROM files_list('{here}/*')"  # noqa: S608 - our own path, quoted
    lines = f"SELECT content FROM files_lines('{here}/*')"  # noqa: S608
    logs = "SELECT message FROM system_logs_events"
    program = Program()
    # fmt: off
    return [
        Deed("start a process", "processes", "SELECT pid FROM processes", program.run),
        Deed("start a process", "processes_events",
             "SELECT pid, state FROM processes_events WHERE state = 'started'", program.run),
        Deed("end a process", "processes_events",
             "SELECT pid, state FROM processes_events WHERE state = 'stopped'", program.end),
        Deed("listen on a port", "sockets", "SELECT pid, local_port FROM sockets", listen),
        Deed("listen on a port", "sockets_events", "SELECT pid, local_port FROM sockets_events",
             listen),
        Deed("open a connection", "sockets_events", "SELECT pid, remote_port AS local_port "
             "FROM sockets_events WHERE state = 'established'", connect),
        Deed("write a file", "files_list", files, lambda: write(directory, token)),
        Deed("write a file", "files_lines", lines, lambda: write(directory, token)),
        Deed("write a file", "files_events", "SELECT path FROM files_events",
             lambda: write(directory, token)),
        Deed("write to the log", "system_logs_events", logs, lambda: say(token), no_log()),
    ]
    # fmt: on


class Program:
    """Starts a program that waits for the end of its input."""

    @contextmanager
    def run(self) -> Iterator[Callable[[Row], bool]]:
        """Have it run."""
        words = (sys.executable, "-c", "import sys; sys.stdin.read()")
        with subprocess.Popen(words, stdin=subprocess.PIPE) as process:  # noqa: S603 - our words
            pid = process.pid
            yield lambda row: row["pid"] == pid

    @contextmanager
    def end(self) -> Iterator[Callable[[Row], bool]]:
        """Have it end, once a source that looks again and again has seen it run."""
        words = (sys.executable, "-c", "import sys; sys.stdin.read()")
        with subprocess.Popen(words, stdin=subprocess.PIPE) as process:  # noqa: S603 - our words
            pid = process.pid
            end = Timer(RUN_SECONDS, process.communicate)  # closes its input and waits
            end.start()
            try:
                yield lambda row: row["pid"] == pid
            finally:
                end.join()


@contextmanager
def listen() -> Iterator[Callable[[Row], bool]]:
    """Listen on a free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        yield lambda row: row["local_port"] == port and row["pid"] in (os.getpid(), None)


@contextmanager
def connect() -> Iterator[Callable[[Row], bool]]:
    """Connect to a port of our own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            yield lambda row: row["local_port"] == port and row["pid"] == os.getpid()


@contextmanager
def write(directory: Path, token: str) -> Iterator[Callable[[Row], bool]]:
    """Write *token* to a new file."""
    path = directory / secrets.token_hex(4)
    path.write_text(token + "\n", encoding="utf-8")

    def is_seen(row: Row) -> bool:
        return token.encode() in _bytes(row.get("content")) or _is(row.get("path"), path)

    try:
        yield is_seen
    finally:
        path.unlink()


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _is(value: Any, path: Path) -> bool:
    return isinstance(value, str) and Path(value).resolve() == path.resolve()


@contextmanager
def say(token: str) -> Iterator[Callable[[Row], bool]]:
    """Write *token* to the system's log."""
    if sys.platform == "win32":
        from logging.handlers import NTEventLogHandler  # noqa: PLC0415 - Windows only

        handler = NTEventLogHandler("Zeek Agent")
        handler.reportEvent("Zeek Agent", 1, 0, 4, [token])  # type: ignore[attr-defined]
    else:
        import syslog  # noqa: PLC0415 - Unix only

        syslog.syslog(syslog.LOG_NOTICE, token)
    yield lambda row: token in str(row["message"])


def no_log() -> str:
    """Return why nothing can be written to the system's log here; empty if it can."""
    if sys.platform == "linux" and not os.path.exists("/dev/log"):  # noqa: PTH110 - a socket
        return "nobody takes log messages here: there is no /dev/log"
    return ""
