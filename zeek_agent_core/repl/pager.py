"""Shows what is longer than the screen, through the user's pager or a simple one of ours."""

import asyncio
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import TextIO

DEFAULT = "less -RS"


def command(environment: Mapping[str, str]) -> list[str] | None:
    """Return the pager to run as program and arguments; None if there is none.

    Under sudo it is always `less`, which then runs no other programs: who may
    run the agent as another user is not given that user's shell.
    """
    is_borrowed = "SUDO_UID" in environment
    wanted = DEFAULT if is_borrowed else environment.get("PAGER") or DEFAULT
    try:
        words = shlex.split(wanted)
    except ValueError:
        words = shlex.split(DEFAULT)
    if words == ["less"]:
        words = shlex.split(DEFAULT)
    program = shutil.which(words[0]) if words else None
    return None if program is None else [program, *words[1:]]


async def show(
    lines: Iterator[str], output: TextIO, height: int, environment: Mapping[str, str]
) -> None:
    """Let the user look at *lines*; return once they have seen enough."""
    words = command(environment)
    output.flush()
    if words is None:
        await asyncio.to_thread(_show_simply, lines, output, sys.stdin, height)
    else:
        await asyncio.to_thread(_run, words, lines, environment)


def _run(words: list[str], lines: Iterator[str], environment: Mapping[str, str]) -> None:
    secured = dict(environment)
    if "SUDO_UID" in environment:
        secured["LESSSECURE"] = "1"
    # The user's own choice of a program, split into words; no shell is involved.
    with (
        suppress(OSError),
        subprocess.Popen(  # noqa: S603
            words,
            stdin=subprocess.PIPE,
            env=secured,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        ) as process,
    ):
        stdin = process.stdin
        if stdin is not None:
            with suppress(BrokenPipeError):  # who has seen enough does not read the rest
                for line in lines:
                    stdin.write(line + "\n")
            with suppress(BrokenPipeError):
                stdin.close()
        while process.poll() is None:
            with suppress(KeyboardInterrupt):
                process.wait()


def _show_simply(lines: Iterator[str], output: TextIO, answers: TextIO, height: int) -> None:
    """Write a screen at a time, and wait for Enter between them; `q` ends it."""
    while page := list(islice(lines, max(height - 2, 1))):
        output.write("".join(f"{line}\n" for line in page))
        following = next(lines, None)
        if following is None:
            break
        output.write("-- more: Enter for the next page, q and Enter to stop -- ")
        output.flush()
        if answers.readline().strip().lower() in ("q", "quit"):
            break
        output.write(following + "\n")
    output.flush()
