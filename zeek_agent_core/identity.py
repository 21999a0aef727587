"""Who this agent is: ids, and the version as a number."""

import contextlib
import logging
import os
import re
from pathlib import Path

log = logging.getLogger(__name__)

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_AGENT_ID = re.compile(r"H[0-9a-zA-Z]{2,22}\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


def random_text() -> str:
    """Return 128 random bits in base 62: two halves, one after the other."""
    return "".join(_base62(int.from_bytes(os.urandom(8), "big")) for _ in range(2))


def _base62(number: int) -> str:
    digits = ""
    while number or not digits:
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def new_agent_id() -> str:
    """Return an id for an installation."""
    return "H" + random_text()


def new_instance_id() -> str:
    """Return an id for one run of the agent."""
    return "I" + random_text()


def agent_id(state: Path | None) -> str:
    """Return the id kept in the directory *state*, made there if it is new.

    The file holds one line: an agent id, or a UUID as older agents wrote it.
    Where it cannot be written the id lasts for this run, and a warning says so.
    """
    if state is None:
        return new_agent_id()
    path = state / "uuid"
    try:
        known = path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        known = None
    except OSError as error:
        log.warning("cannot read the agent id %s: %s", path, error.strerror)
        return new_agent_id()
    if known is not None:
        if _AGENT_ID.match(known) or _UUID.match(known):
            return known
        log.warning("%s holds no agent id; it gets a new one", path)
    try:
        return _keep(path, new_agent_id(), is_new=known is None)
    except OSError as error:
        log.warning("cannot keep the agent id in %s: %s; it will change", path, error.strerror)
        return new_agent_id()


def _keep(path: Path, made: str, *, is_new: bool) -> str:
    """Write the id *made*; return the one that is kept, of agents that start at once."""
    if is_new and not write_private(path, made + "\n", is_new=True):
        return path.read_text(encoding="utf-8").strip()
    if not is_new:
        write_private(path, made + "\n")
    return made


def write_private(path: Path, content: str, *, is_new: bool = False) -> bool:
    """Put *content* into *path*, safely on disk, for its owner alone; return whether it was done.

    An existing file is replaced, or left alone where it must be *is_new*.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = path.with_name(f".{path.name}.{random_text()}")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if is_new and not _link(path, written):
            return False
        if not is_new:
            written.replace(path)
        _sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):
            written.unlink()
    return True


def _link(path: Path, written: Path) -> bool:
    """Give the file *written* the name *path* too; return False if the name is taken."""
    try:
        path.hardlink_to(written)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links: of two at once the later one wins
        written.replace(path)
    return True


def _sync_directory(directory: Path) -> None:
    """Make a change of names durable, where the system has a way."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_VERSION = re.compile(
    r"v?(\d+)\.(\d+)\.(\d+)(?:(?:a|b|rc|\.post|\.dev)\d+)*(?:[-+](.*))?", re.ASCII
)
"""`A.B.C` with the suffixes that Python versions and Git tags have."""


def version_number(version: str) -> int:
    """Return `A.B.C[-x][-N]` as A·10⁸ + B·10⁶ + C·10⁴ + N; raise `ValueError` for other text."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ValueError(f"version {version!r} is not of the form A.B.C")
    major, minor, patch = map(int, match.group(1, 2, 3))
    last = (match[4] or "").rpartition("-")[2]
    count = int(last) if last.isdecimal() and last.isascii() else 0
    return major * 100_000_000 + minor * 1_000_000 + patch * 10_000 + count
