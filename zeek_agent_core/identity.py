"""Who this agent is: ids, and the version as a number."""

import contextlib
import logging
import os
import re
import secrets
import tempfile
from pathlib import Path

log = logging.getLogger(__name__)

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_AGENT_ID = re.compile(r"H[0-9a-zA-Z]{2,22}\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


def random_text() -> str:
    """Return 128 random bits in base 62: two halves, one after the other."""
    return _base62(secrets.randbits(64)) + _base62(secrets.randbits(64))


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
        known = ""
    except OSError as error:
        log.warning("cannot read the agent id %s: %s", path, error.strerror)
        return new_agent_id()
    if _AGENT_ID.match(known) or _UUID.match(known):
        return known
    if known:
        log.warning("%s holds no agent id; it gets a new one", path)
    made = new_agent_id()
    try:
        write_private(path, made + "\n")
    except OSError as error:
        log.warning("cannot keep the agent id in %s: %s; it will change", path, error.strerror)
    return made


def write_private(path: Path, content: str) -> None:
    """Replace *path* by a file with *content* that only its owner can read, safely on disk."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def version_number(version: str) -> int:
    """Return `A.B.C[-x][-N]` as A·10⁸ + B·10⁶ + C·10⁴ + N; raise `ValueError` for other text."""
    text = version.removeprefix("v")
    base, *tags = re.split(r"[-+]", text)
    parts = base.split(".")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):  # noqa: PLR2004 - A.B.C
        raise ValueError(f"version {version!r} is not of the form A.B.C")
    major, minor, patch = map(int, parts)
    count = int(tags[-1]) if tags and tags[-1].isdigit() else 0
    return major * 100_000_000 + minor * 1_000_000 + patch * 10_000 + count
