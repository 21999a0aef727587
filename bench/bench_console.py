"""The console: time to its prompt, and from a key press to candidates and to the screen."""

import asyncio
import os
import pty
import select
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

PROMPT_TIMES = 1.5
KEY_MILLISECONDS = 20.0
TABLES, COLUMNS = 100, 20
RUNS, KEYS = 11, 40

AGENT = [sys.executable, "-m", "zeek_agent_core"]
IMPORT = [sys.executable, "-c", "import prompt_toolkit; print('> ')"]
TEXTS = (
    "SELECT c",
    "SELECT * FROM t",
    "SELECT c FROM table_1 WHERE c",
    "SELECT * FROM table_1 x WH",
)


def schema():
    """Return a schema of many tables."""
    from zeek_agent_core.repl.schema import KnownColumn, KnownTable, Schema

    tables = {}
    for number in range(TABLES):
        columns = (KnownColumn(f"column_{number}_{n}", "text") for n in range(COLUMNS))
        tables[f"table_{number}"] = KnownTable(f"table_{number}", "A table.", tuple(columns))
    return Schema(tables)


@contextmanager
def terminal(command: list[str]):
    """Run *command* in a terminal of its own; yield its end of it."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(command[0], command)
    try:
        yield master
    finally:
        os.close(master)
        os.waitpid(pid, 0)


def until(master: int, wanted: bytes, seconds: float = 20.0) -> None:
    """Read until *wanted* came; answer where the cursor is, as terminals do."""
    read, end = b"", perf_counter() + seconds
    while wanted not in read:
        ready, _, _ = select.select([master], [], [], end - perf_counter())
        if not ready:
            raise TimeoutError(read)
        data = os.read(master, 65536)
        if b"\x1b[6n" in data:
            os.write(master, b"\x1b[1;1R")
        read += data


def to_prompt(command: list[str]) -> float:
    """Return the seconds until *command* shows a prompt."""
    began = perf_counter()
    with terminal(command) as master:
        until(master, b">")
        return perf_counter() - began


def start(directory: Path) -> bool:
    """Compare starts of both consoles with importing prompt_toolkit in a fresh Python."""
    options = ["-c", str(directory / "agent.toml"), "-L", "error"]
    (directory / "agent.toml").write_text(
        f'state-dir = "{directory}/state"\nrun-dir = "{directory}/run"\n'
    )
    met = True
    commands = {"-i": [*AGENT, *options, "-i"], "-r": [*AGENT, *options, "-r"]}
    for name, command in commands.items():
        with running([*AGENT, *options], directory) if name == "-r" else nothing():
            pairs = [(to_prompt(command), to_prompt(IMPORT)) for _ in range(RUNS)]
        ours, theirs = (median(values) for values in zip(*pairs, strict=True))
        best = min(one for one, _ in pairs) / min(other for _, other in pairs)
        met &= best <= PROMPT_TIMES
        print(
            f"{name}: prompt after {ours * 1e3:.0f} ms, prompt_toolkit imported after "
            f"{theirs * 1e3:.0f} ms: {ours / theirs:.2f} times, best {best:.2f}, "
            f"at most {PROMPT_TIMES}"
        )
    return met


@contextmanager
def nothing():
    """Run nothing."""
    yield


@contextmanager
def running(command: list[str], directory: Path):
    """Run an agent until the end of the context."""
    with subprocess.Popen(command) as process:
        while not list(directory.glob("run/*.sock")):
            sleep(0.02)
        try:
            yield
        finally:
            process.terminate()


def candidates() -> bool:
    """Measure completion itself."""
    from zeek_agent_core.repl.complete import candidates as complete

    known, met = schema(), True
    for text in TEXTS:
        took = []
        for _ in range(RUNS):
            began = perf_counter()
            found = complete(text, known)
            took.append((perf_counter() - began) * 1e3)
        met &= median(took) <= KEY_MILLISECONDS
        print(
            f"{text!r}: {len(found)} candidates of {TABLES} tables in {median(took):.2f} ms, "
            f"at most {KEY_MILLISECONDS:g}"
        )
    return met


async def keys() -> bool:
    """Measure from a key press until the menu has been drawn, as prompt_toolkit does it."""
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output.vt100 import Vt100_Output

    from zeek_agent_core.repl.console import Console
    from zeek_agent_core.repl.prompt import Prompt
    from zeek_agent_core.repl.screen import Screen

    drawn: list[float] = []

    class Paper:
        """What is drawn, and when."""

        encoding = "utf-8"

        def write(self, text: str) -> None:
            """Draw nothing."""

        def flush(self) -> None:
            """Note that something was drawn."""
            drawn.append(perf_counter())

        def isatty(self) -> bool:
            """Return that it is a terminal."""
            return True

        def fileno(self) -> int:
            """Return some file."""
            return 1

    took = []
    with create_pipe_input() as keyboard:
        output = Vt100_Output(Paper(), lambda: Size(rows=40, columns=120), term="xterm-256color")
        with create_app_session(input=keyboard, output=output):
            console = Console(None, Screen(), schema=schema())
            prompt = Prompt(console, None)
            reading = asyncio.create_task(prompt.read())
            await asyncio.sleep(0.3)
            keyboard.send_text("SELECT ")
            for _ in range(KEYS):
                keyboard.send_text(",c")
                await asyncio.sleep(0.1)
                drawn.clear()
                began = perf_counter()
                keyboard.send_text("o")
                await asyncio.sleep(0.1)
                took.append((drawn[-1] - began) * 1e3)  # first the letter, then the menu
            reading.cancel()
            await asyncio.wait([reading])
    print(
        f"key press to drawn menu: median {median(took):.1f} ms, at most {KEY_MILLISECONDS:g}; "
        f"worst {max(took):.1f}"
    )
    return median(took) <= KEY_MILLISECONDS


def main() -> int:
    """Print all; return 1 if one of them is over its budget."""
    with tempfile.TemporaryDirectory() as name:
        met = start(Path(name))
    met &= candidates()
    met &= asyncio.run(keys())
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
