"""Tests of where the log goes and how its lines look."""

import json
import logging
import re
import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core import logs
from zeek_agent_core.config import LogConfig
from zeek_agent_core.errors import ConfigError

TEXT_LINE = re.compile(
    r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] \[Zeek Agent\] \[(\w+)\] (.*)", re.DOTALL
)
NASTY = "\x1b[2J\x9b\r\x00\u2028\x85\ud800é"


def record(message, level=logging.INFO, *arguments):
    """Return a record as a part of the agent makes it."""
    return logging.LogRecord(
        "zeek_agent_core.sql.database", level, "database.py", 7, message, arguments, None
    )


@pytest.fixture
def set_up():
    """Return `logs.set_up`; logging is as before afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level

    def set_up(**settings):
        # Handlers of pytest must not be closed by what we test.
        root.handlers[:] = [handler for handler in root.handlers if handler not in before]
        logs.set_up(LogConfig(**settings))

    yield set_up
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_text_line(level):
    """A line has the time, the product, the level and the text; debug lines name the part."""
    line = logs.TextFormatter(is_coloured=False).format(record("a %s", logs.LEVELS[level], "b"))
    shown, text = TEXT_LINE.fullmatch(line).groups()
    assert shown == level
    assert text == ("[database] a b" if level == "debug" else "a b")


def test_colour():
    """On a terminal the level is coloured."""
    line = logs.TextFormatter(is_coloured=True).format(record("a", logging.ERROR))
    assert "[\x1b[31merror\x1b[0m]" in line


def test_json_line():
    """A line for programs is one JSON object, its time in UTC."""
    made = record("é %d", logging.WARNING, 5)
    made.created, made.msecs = 1646252056.789, 789.0
    assert json.loads(logs.JsonFormatter().format(made)) == {
        "time": "2022-03-02T20:14:16.789Z",
        "level": "warning",
        "component": "database",
        "message": "é 5",
    }


@given(st.text() | st.just(NASTY))
def test_data_cannot_forge_lines(text):
    """Whatever is logged, only the text format has more than a line, and indents the rest."""
    shown = logs.TextFormatter(is_coloured=False).format(record("%s", logging.INFO, text))
    first, *others = shown.split("\n")
    assert TEXT_LINE.fullmatch(first)
    assert all(line.startswith("    ") for line in others)
    assert shown.replace("\n", "").isprintable()
    line = logs.JsonFormatter().format(record("%s", logging.INFO, text))
    assert line.isprintable()
    assert json.loads(line)["message"] == text


def test_traceback():
    """The trace of an error is part of its record."""
    try:
        raise RuntimeError("oops")
    except RuntimeError:
        made = record("failed")
        made.exc_info = sys.exc_info()
    assert "RuntimeError: oops" in logs.TextFormatter(is_coloured=False).format(made)
    assert "RuntimeError: oops" in json.loads(logs.JsonFormatter().format(made))["message"]


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("trace", ["5", "10", "20", "30", "40", "50"]),
        ("info", ["20", "30", "40", "50"]),
        (None, ["20", "30", "40", "50"]),
        ("critical", ["50"]),
        ("off", []),
    ],
)
def test_levels(set_up, tmp_path, level, shown):
    """What is below the level is left out; `off` leaves out all."""
    path = tmp_path / "log"
    set_up(type="file", path=str(path), level=level)
    for number in (5, 10, 20, 30, 40, 50):
        logging.getLogger("zeek_agent_core.x").log(number, "<%d>", number)
    assert re.findall(r"<(\d+)>", path.read_text()) == shown


def test_file(set_up, tmp_path):
    """A log file is made with its directory, private, and appended to."""
    path = tmp_path / "new" / "log"
    for number in (1, 2):
        set_up(type="file", path=str(path))
        logging.getLogger("x").warning("line %d %s", number, NASTY)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "file"}, r"\[log\] type is 'file', but \[log\] path is missing"),
        ({"type": "file", "path": "/"}, "cannot write log file /: Is a directory"),
        ({"type": "file", "path": "/dev/null/x"}, "cannot write log file /dev/null/x: "),
    ],
)
def test_impossible_file(set_up, settings, message):
    """A log file that cannot be is an error that says which and why."""
    with pytest.raises(ConfigError, match=message):
        set_up(**settings)


@pytest.mark.parametrize("kind", ["stdout", "stderr"])
def test_streams(set_up, capsys, kind):
    """The log goes to one of the standard streams, as text or as JSON."""
    set_up(type=kind, format="json")
    logging.getLogger("x").info("hello")
    written = getattr(capsys.readouterr(), kind.removeprefix("std"))
    assert json.loads(written)["message"] == "hello"


@pytest.mark.skipif(sys.platform != "linux", reason="syslog of Linux")
def test_syslog(set_up):
    """The system's log takes a record even with bytes that it could not hold."""
    set_up(type="system")
    assert isinstance(logging.getLogger().handlers[-1], logs.SyslogHandler)
    logging.getLogger("x").debug("%s\n", NASTY)
    logging.getLogger("x").info("test of the agent's log %s\n", NASTY)


def fields(datagram):
    """Parse what the journal's native protocol sends."""
    found = {}
    while datagram:
        end = datagram.index(b"\n")
        name, sep, value = datagram[:end].partition(b"=")
        datagram = datagram[end + 1 :]
        if not sep:
            size = int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8 : 8 + size], datagram[9 + size :]
        found[name.decode()] = value.decode()
    return found


@pytest.fixture
def journal(tmp_path):
    """Return a socket that receives, and a handler that sends to it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "socket"))
        receiver.settimeout(5)
        handler = logs.JournalHandler(str(tmp_path / "socket"))
        yield receiver, handler
        handler.close()


@pytest.mark.parametrize("text", ["plain", "two\nlines\nPRIORITY=0", NASTY[:5], "x" * 100_000])
def test_journal(journal, text):
    """The journal gets the text and its level; no text can add a field, none is too long."""
    receiver, handler = journal
    handler.emit(record("%s", logging.WARNING, text))
    got = fields(receiver.recv(1 << 20))
    assert got["MESSAGE"] == text[: logs.LONGEST_MESSAGE]
    assert got["PRIORITY"] == "4"
    assert got["SYSLOG_IDENTIFIER"] == "zeek-agent"
    assert got["ZEEK_AGENT_COMPONENT"] == "database"
    assert set(got) == {
        "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "ZEEK_AGENT_COMPONENT", "CODE_FILE",
        "CODE_LINE",
    }  # fmt: skip
    assert handler.dropped == 0


def test_full_journal(journal):
    """A journal that does not keep up loses records, counted, and holds up nobody."""
    _, handler = journal
    for _ in range(10_000):
        handler.emit(record("x" * 1000))
    assert handler.dropped > 0


def test_no_journal(tmp_path):
    """Without a journal the start fails with the reason."""
    with pytest.raises(ConfigError, match=r"type is 'journal', but .* does not answer: No such"):
        logs.JournalHandler(str(tmp_path / "none"))


@pytest.mark.parametrize(("level", "number"), [(50, 2), (40, 3), (30, 4), (20, 6), (10, 7), (5, 7)])
def test_priority(level, number):
    """Levels become the priorities of syslog."""
    assert logs.priority(level) == number
