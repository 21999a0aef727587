"""Regular expressions whose matching is bounded in time: they come from the network."""

from functools import lru_cache
from typing import TYPE_CHECKING

from zeek_agent_core.errors import LimitError, StatementError

if TYPE_CHECKING:
    import regex

SECONDS = 1.0
"""Time one regular expression may take on one value."""


@lru_cache(maxsize=256)
def compiled(pattern: str) -> "regex.Pattern[str]":
    """Return *pattern* compiled; raise `StatementError` where it is wrong."""
    import regex  # noqa: PLC0415 - 20 ms that few statements need

    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise StatementError(f"wrong regular expression {pattern!r}: {error}") from error


def search(pattern: str, text: str) -> bool:
    """Return whether *pattern* matches anywhere in *text*; raise `LimitError` past `SECONDS`."""
    try:
        found = compiled(pattern).search(text, timeout=SECONDS, concurrent=True)
    except TimeoutError as error:
        raise LimitError(
            f"regular expression {pattern!r} took longer than {SECONDS:g} s on one value"
        ) from error
    return found is not None
