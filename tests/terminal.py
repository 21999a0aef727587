"""A real terminal for tests: programs run in tmux, keys are sent, the screen is read."""

import os
import shlex
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Self

DEADLINE = 30.0
"""Seconds that anything on the screen may take; machines that run tests are slow at times."""


class Terminal:
    """One tmux server with one window; use as ``with Terminal(...) as terminal``."""

    def __init__(
        self,
        command: list[str],
        *,
        size: tuple[int, int] = (100, 30),
        term: str = "xterm-256color",
        environment: dict[str, str] | None = None,
    ) -> None:
        """Prepare to run *command*; *term* is what it takes its terminal for."""
        self._socket = f"zeek-agent-test-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        variables = {"TERM": term, "LC_ALL": "C.UTF-8", **(environment or {})}
        words = [f"{name}={value}" for name, value in variables.items()]
        # A shell stays behind, so that the screen can be read after the program has ended.
        program = shlex.join(["env", "-u", "NO_COLOR", "-u", "PAGER", *words, *command])
        self._program = f'{program}; echo "status $?"; exec sleep 1000'
        self._size = size

    def __enter__(self) -> Self:
        """Start the program."""
        across, down = map(str, self._size)
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", across, "-y", down, self._program)
        return self

    def __exit__(self, *_: object) -> None:
        """End the program and the server of this terminal alone."""
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], check=False)

    def tmux(self, *words: str) -> str:
        """Run a command of tmux on this terminal."""
        done = subprocess.run(
            ["tmux", "-L", self._socket, *words], check=True, capture_output=True, text=True
        )
        return done.stdout

    def type(self, text: str) -> None:
        """Type *text* as it is."""
        # A semicolon at the end would separate two commands of tmux.
        self.tmux("send-keys", "-l", "--", text[:-1] + "\\;" if text.endswith(";") else text)

    def enter(self, text: str) -> None:
        """Type *text* and press Enter."""
        self.type(text)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names for them, for example `Enter`, `C-c`."""
        self.tmux("send-keys", *keys)

    def paste(self, text: str) -> None:
        """Paste *text*, as a terminal does where the program has asked for brackets."""
        self.tmux("set-buffer", "--", text)
        self.tmux("paste-buffer", "-p")

    def resize(self, across: int, down: int) -> None:
        """Change the size of the window."""
        self.tmux("resize-window", "-x", str(across), "-y", str(down))

    def screen(self, *, coloured: bool = False) -> str:
        """Return what the screen shows."""
        return self.tmux("capture-pane", "-p", *(["-e"] if coloured else []))

    def wait(self, *wanted: str, without: str | None = None, coloured: bool = False) -> str:
        """Return the screen once it has all of *wanted* and not *without*."""
        until = time.monotonic() + DEADLINE
        while True:
            screen = self.screen(coloured=coloured)
            if all(text in screen for text in wanted) and (
                without is None or without not in screen
            ):
                return screen
            if time.monotonic() > until:
                raise AssertionError(f"{wanted!r} not on the screen, which has:\n{screen}")
            time.sleep(0.05)


def console(directory: Path, *options: str) -> list[str]:
    """Return the command of an agent with a console that keeps everything in *directory*."""
    path = directory / "agent.toml"
    path.write_text(f'state-dir = "{directory}/state"\nrun-dir = "{directory}/run"\n')
    return [sys.executable, "-m", "zeek_agent_core", "-c", str(path), *(options or ["-i"])]
