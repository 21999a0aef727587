"""Records a first session of the console: the real program, typed at in tmux.

Writes docs/console.svg, and the same screens as text into docs/console.md.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from ansi_svg import Frame, svg  # noqa: E402 - found by the line above

from tests.terminal import Terminal, console  # noqa: E402

COLUMNS, ROWS = 100, 28
PORT = 18080
SERVER = f"import socket, time; s = socket.create_server(('127.0.0.1', {PORT})); time.sleep(600)"
BEGIN, END = "<!-- begin recording -->", "<!-- end recording -->"


class Recorder:
    """Types like a person, and keeps what the screen shows."""

    def __init__(self, terminal: Terminal) -> None:
        """Record *terminal*."""
        self.terminal = terminal
        self.frames: list[Frame] = []
        self.chapters: list[tuple[str, str]] = []

    def keep(self, seconds: float) -> None:
        """Show the screen as it is for some seconds."""
        self.frames.append(Frame(self.terminal.screen(coloured=True), seconds))

    def type(self, text: str, step: int = 6) -> None:
        """Type *text* a few letters at a time."""
        for place in range(0, len(text), step):
            self.terminal.type(text[place : place + step])
            time.sleep(0.25)
            self.keep(0.3)

    def run(self, title: str, text: str, *wanted: str, seconds: float = 3.0) -> None:
        """Type a statement, run it, and wait for its result."""
        self.type(text)
        self.terminal.press("Enter")
        self.terminal.wait(*wanted)
        time.sleep(0.3)
        self.chapter(title, seconds)

    def chapter(self, title: str, seconds: float = 3.0) -> None:
        """Keep the screen, also as text."""
        self.keep(seconds)
        self.chapters.append((title, self.terminal.screen().rstrip("\n")))

    def clear(self) -> None:
        """Begin with an empty screen."""
        self.terminal.press("C-l")
        time.sleep(0.3)


def session(recorder: Recorder) -> None:
    """Play the session."""
    terminal = recorder.terminal
    terminal.wait("\n>")
    recorder.run("What there is", ".tables", "zeek_agent_tables  ")
    recorder.clear()
    recorder.type("SELECT p.name, s.pr")
    terminal.press("C-c")
    recorder.clear()
    recorder.type("SELECT name, ppid FROM processes WHERE st")
    terminal.wait("startup", "interval: ")
    recorder.chapter("Completion knows the tables, and tells what columns mean")
    terminal.press("C-c")
    recorder.clear()
    recorder.run(
        "A join: who listens on a port",
        "SELECT p.name, p.uid, s.protocol, s.local_port, s.state "  # noqa: S608 - our own number
        "FROM sockets s "
        f"JOIN processes p USING (pid) WHERE s.local_port = {PORT};",
        "1 row, ",
    )
    recorder.clear()
    recorder.run(
        "`.watch` redraws in place and highlights what changed",
        ".watch 1 SELECT name, runs, rows, duration FROM zeek_agent_tables",
        "every 1 s, ",
    )
    for _ in range(3):
        time.sleep(1)
        recorder.keep(1)
    recorder.chapters[-1] = (recorder.chapters[-1][0], terminal.screen().rstrip("\n"))
    terminal.press("C-c")
    terminal.wait("cancelled")
    recorder.clear()
    differences(recorder)
    recorder.clear()
    recorder.run(
        "`.chart` draws",
        '.chart SELECT "table", count(*) FROM zeek_agent_columns GROUP BY 1 ORDER BY 2 DESC',
        "█",
        seconds=5,
    )


def differences(recorder: Recorder) -> None:
    """Show a process that comes and goes."""
    recorder.type(".diffs SELECT pid, name, cmdline FROM processes WHERE name = 'sleep' ")
    recorder.type("AND cmdline LIKE '% 4242'")
    recorder.terminal.press("Enter")
    recorder.terminal.wait("  cmdline\n")
    recorder.keep(1)
    with subprocess.Popen(["sleep", "4242"]) as process:  # noqa: S607 - our own command
        recorder.terminal.wait(" + ")
        recorder.keep(2)
        process.terminate()
    recorder.terminal.wait(" - ")
    recorder.chapter("`.diffs` shows what comes and goes")
    recorder.terminal.press("C-c")
    recorder.terminal.wait("cancelled")


def main() -> int:
    """Record, and write both files."""
    with (
        tempfile.TemporaryDirectory() as name,
        subprocess.Popen([sys.executable, "-c", SERVER]) as server,  # noqa: S603 - our own command
    ):
        try:
            with Terminal(console(Path(name)), size=(COLUMNS, ROWS)) as terminal:
                recorder = Recorder(terminal)
                session(recorder)
        finally:
            server.terminate()
    (ROOT / "docs/console.svg").write_text(svg(recorder.frames, COLUMNS, ROWS))
    page = ROOT / "docs/console.md"
    chapters = "".join(f"\n{title}:\n\n```text\n{text}\n```\n" for title, text in recorder.chapters)
    pattern = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)
    page.write_text(pattern.sub(lambda _: f"{BEGIN}\n{chapters}\n{END}", page.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
