"""Sets up logging: where it goes, and how a line looks."""

import importlib.util
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zeek_agent_core.config import LogConfig
from zeek_agent_core.errors import ConfigError

TRACE = 5
LEVELS = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "off": logging.CRITICAL + 10,
}
NAMES = {number: name for name, number in LEVELS.items()}
COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m", "info": "\x1b[32m"}
JOURNAL_SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "zeek-agent"
EVENT_SOURCE = "Zeek Agent"
"""Name of the source in the Event Log of Windows."""
LONGEST_MESSAGE = 30_000
"""Letters of a message to the journal: one datagram must hold it."""

logging.addLevelName(TRACE, "TRACE")


def set_up(
    config: LogConfig, *, default_type: str | None = None, default_level: str = "info"
) -> None:
    """Send the log where *config* says; raise `ConfigError` where that cannot be.

    Where neither it nor *default_type* says, `usual_type` does.
    """
    handler = _handler(config, config.type or default_type or usual_type())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(LEVELS[config.level or default_level])
    logging.raiseExceptions = False


def usual_type(environment: Mapping[str, str] = os.environ) -> str:
    """Return where the log goes if nobody says: to the log that the service manager keeps.

    systemd tells in `JOURNAL_STREAM` which file the journal reads, systemd.exec(5);
    launchd gives a service its label in `XPC_SERVICE_NAME`.
    """
    if sys.platform == "darwin" and environment.get("XPC_SERVICE_NAME", "0") != "0":
        return "system"
    stream = environment.get("JOURNAL_STREAM")
    if stream and Path(JOURNAL_SOCKET).exists():
        for descriptor in (1, 2):
            status = os.fstat(descriptor)
            if stream == f"{status.st_dev}:{status.st_ino}":
                return "journal"
    return "stdout"


def _handler(config: LogConfig, kind: str) -> logging.Handler:
    if kind == "file":
        return _formatted(_file(config.path), config.format, is_terminal=False)
    if kind == "journal":
        return JournalHandler()
    if kind == "system":
        return _system_handler()
    stream = sys.stdout if kind == "stdout" else sys.stderr
    return _formatted(logging.StreamHandler(stream), config.format, is_terminal=stream.isatty())


def _file(path: str | None) -> logging.Handler:
    if not path:
        raise ConfigError("[log] type is 'file', but [log] path is missing")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.close(descriptor)
        return logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"cannot write log file {path}: {error.strerror}") from error


def _formatted(handler: logging.Handler, form: str, *, is_terminal: bool) -> logging.Handler:
    formatter = JsonFormatter() if form == "json" else TextFormatter(is_coloured=is_terminal)
    handler.setFormatter(formatter)
    return handler


def _system_handler() -> logging.Handler:
    if sys.platform == "win32":
        return _event_log()
    else:  # noqa: RET505 - so that a check of types for one system leaves out the other
        return SyslogHandler()  # on macOS it ends in the unified log


def _event_log() -> logging.Handler:
    """Return a handler for the Application log of Windows."""
    from logging.handlers import NTEventLogHandler  # noqa: PLC0415 - Windows only

    if importlib.util.find_spec("win32evtlog") is None:
        raise ConfigError(
            "[log] type is 'system', but pywin32 is missing; install zeek-agent-windows, "
            "which brings it, or use 'file'"
        )
    return NTEventLogHandler(EVENT_SOURCE)


def component(record: logging.LogRecord) -> str:
    """Return the part of the agent that logs, for example `database`."""
    return record.name.rpartition(".")[2]


class TextFormatter(logging.Formatter):
    """Lines for people: `[time] [Zeek Agent] [level] text`, in local time."""

    def __init__(self, *, is_coloured: bool) -> None:
        """Colour the level where *is_coloured*."""
        super().__init__()
        self.is_coloured = is_coloured

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for *record*."""
        level = NAMES.get(record.levelno, record.levelname.lower())
        colour = COLOURS.get(level, "") if self.is_coloured else ""
        shown = f"{colour}{level}\x1b[0m" if colour else level
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        text = one_line(_message(record))
        if record.levelno <= logging.DEBUG:
            text = f"[{component(record)}] {text}"
        return f"[{moment}.{int(record.msecs):03d}] [Zeek Agent] [{shown}] {text}"


class JsonFormatter(logging.Formatter):
    """Lines for programs: one JSON object each."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for *record*."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = json.dumps(
            {
                "time": f"{moment}.{int(record.msecs):03d}Z",
                "level": NAMES.get(record.levelno, record.levelname.lower()),
                "component": component(record),
                "message": _message(record),
            },
            ensure_ascii=False,
        )
        # What remains unprintable stands in strings; terminals and line readers may heed it.
        return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return text


def one_line(text: str, newline: str = "\n    ") -> str:
    r"""Return *text* with control characters as `\\xNN`, so that data cannot forge log lines."""
    return newline.join(
        "".join(c if c.isprintable() else _escaped(c) for c in line) for line in text.split("\n")
    )


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def priority(level: int) -> int:
    """Return the syslog priority of a level of `logging`."""
    if level >= logging.CRITICAL:
        return 2
    if level >= logging.ERROR:
        return 3
    if level >= logging.WARNING:
        return 4
    return 6 if level >= logging.INFO else 7


class SyslogHandler(logging.Handler):
    """Writes to syslog(3), facility USER."""

    def __init__(self) -> None:
        """Open the log."""
        super().__init__()
        import syslog  # noqa: PLC0415 - Unix only

        self._syslog: Any = syslog
        self._syslog.openlog(IDENTIFIER, 0, self._syslog.LOG_USER)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        text = one_line(_message(record), newline=r"\n")
        self._syslog.syslog(priority(record.levelno), text)


class JournalHandler(logging.Handler):
    """Writes to systemd's journal, with its native protocol.

    https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
    """

    def __init__(self, path: str = JOURNAL_SOCKET) -> None:
        """Write to the socket *path*; raise `ConfigError` if there is no journal."""
        super().__init__()
        family = getattr(socket, "AF_UNIX")  # noqa: B009 - Windows has none
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise ConfigError(
                f"[log] type is 'journal', but {path} does not answer: {error.strerror}"
            ) from error
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; a full or absent journal loses it, counted."""
        fields = {
            "MESSAGE": _message(record)[:LONGEST_MESSAGE],
            "PRIORITY": str(priority(record.levelno)),
            "SYSLOG_IDENTIFIER": IDENTIFIER,
            "ZEEK_AGENT_COMPONENT": component(record),
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
        }
        try:
            self._socket.send(b"".join(journal_field(*item) for item in fields.items()))
        except OSError:
            self.dropped += 1

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()


def journal_field(name: str, value: str) -> bytes:
    """Return one field in the journal's native form; values of several lines carry a length."""
    data = value.encode("utf-8", "backslashreplace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
