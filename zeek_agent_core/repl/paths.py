"""Names of files, for completion."""

import os
from collections.abc import Iterator
from itertools import islice

MOST = 500
"""Names that are offered at most; more cannot be looked through."""


def beginning_with(text: str) -> Iterator[str]:
    """Yield the paths that begin with *text*, directories with a `/` at their end; never fails."""
    directory, name = os.path.split(text)
    try:
        with os.scandir(os.path.expanduser(directory) or ".") as entries:  # noqa: PTH111
            found = sorted(islice(_matching(entries, name), MOST))
    except (OSError, ValueError):
        return
    start = text[: len(text) - len(name)]
    yield from (start + entry for entry in found)


def _matching(entries: Iterator[os.DirEntry[str]], name: str) -> Iterator[str]:
    for entry in entries:
        shown = entry.name
        if not shown.startswith(name) or (shown.startswith(".") and not name.startswith(".")):
            continue
        if not shown.isprintable():
            continue
        try:
            yield shown + ("/" if entry.is_dir() else "")
        except OSError:
            yield shown
