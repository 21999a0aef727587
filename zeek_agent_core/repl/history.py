"""The file that keeps what was typed."""

import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

NAME = "history"
MOST_BYTES = 1 << 20


def file_in(directory: Path) -> Path | None:
    """Return the history in *directory*, only for its owner's eyes; None if it cannot be."""
    path = directory / NAME
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        _shorten(path)
    except OSError as error:
        log.warning("cannot keep a history in %s: %s", path, error.strerror)
        return None
    return path


def _shorten(path: Path) -> None:
    """Keep the later half of a history that has grown too long, from an entry's start on."""
    if path.stat().st_size <= MOST_BYTES:
        return
    data = path.read_bytes()
    start = data.find(b"\n# ", len(data) // 2)
    kept = path.with_name(f"{NAME}.new")
    with suppress(FileNotFoundError):
        kept.unlink()
    with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data[start:] if start >= 0 else b"")
    kept.replace(path)
