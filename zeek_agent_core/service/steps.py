"""What installing a service consists of: steps that can be shown, and done."""

import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from zeek_agent_core.errors import ServiceError

SECONDS = 120.0
"""How long a program of the service manager may take."""


class Step(Protocol):
    """One change to the system."""

    def shown(self) -> str:
        """Return what would be done, for people."""

    def do(self) -> None:
        """Do it; raise `ServiceError` with what failed and what to do."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write a file, in one piece, for all to read."""

    path: Path
    text: str

    def shown(self) -> str:
        """Return the file, whole."""
        return f"# write {self.path}:\n{self.text}"

    def do(self) -> None:
        """Write beside, then rename, so that nobody reads half a file."""
        beside = self.path.with_name(f".{self.path.name}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside.unlink(missing_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(self.text)
                file.flush()
                os.fsync(descriptor)
            beside.replace(self.path)
        except OSError as error:
            raise ServiceError(f"cannot write {self.path}: {told(error)}") from error


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a file that may be gone already."""

    path: Path

    def shown(self) -> str:
        """Return the file's name."""
        return f"# remove {self.path}"

    def do(self) -> None:
        """Remove it."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise ServiceError(f"cannot remove {self.path}: {told(error)}") from error


@dataclass(frozen=True, slots=True)
class Run:
    """Run a program of the service manager."""

    words: Sequence[str]
    may_fail: bool = False
    """Whether the program fails where there is nothing to do."""

    def shown(self) -> str:
        """Return the command as one would type it."""
        return shlex.join(self.words)

    def do(self) -> None:
        """Run it."""
        status, output = run(self.words)
        if status and not self.may_fail:
            raise ServiceError(f"{self.shown()} failed: {output or f'status {status}'}")


@dataclass(frozen=True, slots=True)
class Call:
    """Call the system's own interface."""

    description: str
    function: Callable[[], object]

    def shown(self) -> str:
        """Return what it does."""
        return f"# {self.description}"

    def do(self) -> None:
        """Call it."""
        self.function()


def run(words: Sequence[str]) -> tuple[int, str]:
    """Return the exit status and the output of a program; raise `ServiceError` without one."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the words are ours
            words,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise ServiceError(f"cannot find {words[0]}; is this its system?") from error
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"{shlex.join(words)} did not end within {SECONDS:.0f} s") from error
    return done.returncode, (done.stdout + done.stderr).strip()


def told(error: OSError) -> str:
    """Return the reason of *error*, and what to do about the usual one."""
    reason = (error.strerror or str(error)).lower()
    return f"{reason}; run this as root" if isinstance(error, PermissionError) else reason
