"""The machine we run on, as every table is given it."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLATFORMS = {"darwin": "darwin", "win32": "windows"}


def platform() -> str:
    """Return the platform's name as tables, groups and Zeek know it."""
    return PLATFORMS.get(sys.platform, "linux")


def _none() -> Iterable[Mapping[str, Any]]:
    return ()


@dataclass(slots=True)
class AgentFacts:
    """What tables about the agent itself can tell; the kernel fills it in."""

    id: str = ""
    instance: str = ""
    started: float = 0.0
    """When the agent started, in seconds since the epoch."""
    state: Path | None = None
    """The directory for what must outlive the agent, private to it; None: keep nothing."""
    transport: str = "n/a"
    """Version text of what connects to Zeek."""
    tables: Callable[[], Iterable[Mapping[str, Any]]] = _none
    """Rows of `zeek_agent_tables`."""
    queries: Callable[[], Iterable[Mapping[str, Any]]] = _none
    """Rows of `zeek_agent_queries`."""
    connections: Callable[[], Iterable[Mapping[str, Any]]] = _none
    """Rows of `zeek_agent_connections`."""
    declared: Callable[[], Iterable[Any]] = _none
    """The tables themselves."""


class Host:
    """Movable root of the file system, and the settings of tables.

    Tests point *root* at a directory laid out as on a host.
    """

    def __init__(
        self,
        root: str | Path = "/",
        settings: Mapping[str, Any] | None = None,
        agent: AgentFacts | None = None,
        *,
        uses_bpf: bool = True,
    ) -> None:
        """Use *root* for all paths; *settings* are the `[tables]` of the configuration."""
        self.root = Path(root)
        self.platform = platform()
        self.settings: Mapping[str, Any] = settings or {}
        self.agent = agent or AgentFacts()
        self.uses_bpf = uses_bpf
        """Whether tables may use BPF where the kernel has it."""

    def path(self, absolute: str) -> Path:
        """Return where the host's file *absolute* is found."""
        return self.root / absolute.lstrip("/")

    @property
    def prefix(self) -> str:
        """What to put before an absolute path to find it: empty on a real host."""
        return str(self.root).rstrip("/")
