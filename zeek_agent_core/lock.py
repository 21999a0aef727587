"""Keeps two agents from using one directory."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zeek_agent_core.errors import ConfigError

BEHIND = 1 << 20
"""Where Windows locks a byte: behind all that the file has."""


@contextmanager
def held(directory: Path, purpose: str, remedy: str) -> Iterator[None]:
    """Hold *directory* for this process; raise `ConfigError` if another agent has it.

    Where the directory cannot be written nothing is held: there is nothing to
    disturb either. The lock goes with the process, however it ends.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield
        return
    try:
        if not _locked(descriptor):
            owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise ConfigError(
                f"another agent (process {owner}) has {directory} as its {purpose}; {remedy}"
            )
        os.truncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Lock the file without waiting; return whether that worked."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - Windows only

        with suppress(OSError):
            # A byte behind the content: what is locked cannot be read by others.
            os.lseek(descriptor, BEHIND, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            return True
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl  # noqa: PLC0415 - Unix only

        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False
