"""From the name of an output's form to the sink that writes it."""

import os
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from zeek_agent_core.errors import ConfigError, OutputError
from zeek_agent_core.local.jsonlines import JsonLines
from zeek_agent_core.local.pretty import Pretty
from zeek_agent_core.local.rotate import Rotation
from zeek_agent_core.local.sink import Sink
from zeek_agent_core.local.stream import LineStream
from zeek_agent_core.local.zeeklog import ZeekLog


class Kind(StrEnum):
    """The forms in which results can be written."""

    PRETTY = "pretty"
    """Lines for people, to a stream."""
    JSON = "json"
    """JSON lines, to a stream or to files in a directory."""
    ZEEK = "zeek"
    """Zeek's logs, to files in a directory."""


def make_sink(
    kind: str,
    *,
    hid: str,
    host: str,
    directory: Path | None = None,
    stream: TextIO | None = None,
    rotation: Rotation | None = None,
    clock: Callable[[], float] = time.time,
    environ: Mapping[str, str] = os.environ,
) -> Sink:
    """Return a sink of *kind* for the agent *hid* on *host*.

    With a *directory*, which is made if need be, the logs become files in
    it; else they go to *stream*. Raises `ConfigError` where *kind* cannot go
    there, and `OutputError` for a directory that cannot be written.
    """
    form = _kind(kind)
    rotation = rotation or Rotation()
    if directory is not None and form is not Kind.PRETTY:
        _prepare(directory)
        if form is Kind.ZEEK:
            return ZeekLog(directory, hid=hid, host=host, rotation=rotation, clock=clock)
        return JsonLines(directory, hid=hid, host=host, rotation=rotation, clock=clock)
    if stream is None or form is Kind.ZEEK:
        wanted = "a stream" if form is Kind.PRETTY else "a directory"
        raise ConfigError(f'output "{form}" needs {wanted} to write to; name one')
    if form is Kind.PRETTY:
        lines = LineStream(stream)
        return Pretty(lines, environ=environ, clock=clock, local_time=rotation.local_time)
    lines = LineStream(stream, encoding="utf-8")
    return JsonLines(lines, hid=hid, host=host, rotation=rotation, clock=clock)


def _kind(kind: str) -> Kind:
    try:
        return Kind(kind)
    except ValueError:
        known = ", ".join(Kind)
        raise ConfigError(f'output "{kind}" does not exist; use one of {known}') from None


def _prepare(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"cannot make directory {directory}: {reason}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write to directory {directory}: permission denied")
