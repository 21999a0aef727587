"""Tests of the screen, the pager, the history file and names of files."""

import io
import os
import stat
import sys

import pytest

from zeek_agent_core.repl import history, pager
from zeek_agent_core.repl.paths import beginning_with
from zeek_agent_core.repl.screen import Screen, visible_width, write, write_lines


class Tty(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self):
        """Return that it is one."""
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "capable", "colours"),
    [
        (Tty, {"TERM": "xterm"}, True, True),
        (Tty, {"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        (Tty, {"TERM": "dumb"}, False, False),
        (Tty, {}, False, False),
        (io.StringIO, {"TERM": "xterm"}, False, False),
    ],
)
def test_abilities(stream, environment, capable, colours):
    """Colours and moving the cursor are for terminals that can, unless they are unwanted."""
    screen = Screen(stream(), environment=environment)
    assert (screen.is_capable, screen.has_colours) == (capable, colours)
    assert screen.size() == (80, 24)


def test_encoding():
    """What the terminal's encoding lacks is escaped."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    write(stream, "é")
    assert raw.getvalue() == b"\\xe9"


async def test_many_lines():
    """All lines are written, in their order, however many there are."""
    stream = io.StringIO()
    await write_lines(stream, (str(n) for n in range(2000)))
    assert stream.getvalue().split() == [str(n) for n in range(2000)]


def test_visible_width():
    """Colours take no room."""
    assert visible_width("\x1b[1;33m表\x1b[0m") == 2


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PAGER": f"{sys.executable} -c 'print(1)'"}, [sys.executable, "-c", "print(1)"]),
        ({"PAGER": "/no/such/pager"}, None),
        ({"PAGER": "'"}, "less"),
        ({"PAGER": "sh -c id", "SUDO_UID": "1000"}, "less"),
    ],
)
def test_pager_command(environment, expected):
    """The pager is the user's, split into words, but never under sudo."""
    found = pager.command(environment)
    if expected == "less":
        assert found is None or (found[0].endswith("/less") and found[1:] == ["-RS"])
    else:
        assert found == expected


async def test_pager_runs(tmp_path):
    """What does not fit goes to the pager, without a shell in between."""
    target = tmp_path / "paged"
    code = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    environment = {**os.environ, "PAGER": f'{sys.executable} -c "{code}" {target}', "TERM": "xterm"}
    environment.pop("SUDO_UID", None)
    screen = Screen(Tty(), environment=environment)
    await screen.lines((f"line {n}" for n in range(100)), is_paged=True)
    assert target.read_text().splitlines() == [f"line {n}" for n in range(100)]
    await screen.lines(["short"], is_paged=True)
    assert screen.output.getvalue() == "short\n"


def test_simple_pager():
    """Without a pager lines come a screen at a time until enough is seen."""
    output = io.StringIO()
    pager._show_simply(iter(f"line {n}" for n in range(10)), output, io.StringIO("\nq\n"), 5)
    assert output.getvalue().count("-- more") == 2
    assert "line 5" in output.getvalue()
    assert "line 7" not in output.getvalue()


def test_history_file(tmp_path):
    """The history is for its owner's eyes, and follows no link that another has laid."""
    path = history.file_in(tmp_path / "new" / "state")
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert history.file_in(path.parent) is None
    assert not (tmp_path / "elsewhere").exists()


def test_long_history_is_shortened(tmp_path):
    """A history that has grown too long keeps its later half."""
    entries = b"".join(b"\n# 2026-01-01\n+SELECT %d\n" % n for n in range(60_000))
    (tmp_path / history.NAME).write_bytes(entries)
    path = history.file_in(tmp_path)
    kept = path.read_bytes()
    assert len(kept) < history.MOST_BYTES
    assert kept.startswith(b"\n# ")
    assert entries.endswith(kept)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_paths(tmp_path):
    """Files are offered by how they begin, directories with a slash, hidden ones if asked for."""
    (tmp_path / "directory").mkdir()
    for name in ("data", ".hidden", "da\nd"):
        (tmp_path / name).touch()
    assert list(beginning_with(f"{tmp_path}/d")) == [f"{tmp_path}/data", f"{tmp_path}/directory/"]
    assert list(beginning_with(f"{tmp_path}/.")) == [f"{tmp_path}/.hidden"]
    assert list(beginning_with("/no/such/x\x00")) == []
