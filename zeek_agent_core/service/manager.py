"""What every system's service manager can do with the agent."""

import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from zeek_agent_core.service.steps import Step


@dataclass(frozen=True, slots=True)
class Status:
    """How the service fares."""

    is_installed: bool
    is_running: bool
    facts: Sequence[tuple[str, str]] = ()
    """What else the manager tells, by name, for people."""


class Manager(Protocol):
    """A service manager; plans are what it would do, in order."""

    def install(self, command: Sequence[str]) -> Sequence[Step]:
        """Plan to run *command* from each start of the system on."""

    def uninstall(self) -> Sequence[Step]:
        """Plan to stop and forget the service; its state and configuration stay."""

    def start(self) -> Sequence[Step]:
        """Plan to start the service."""

    def stop(self) -> Sequence[Step]:
        """Plan to stop the service until it is started, or the system is."""

    def status(self) -> Status:
        """Return how the service fares; raise `ServiceError` if nobody can tell."""


def command(config: Path | None) -> list[str]:
    """Return the words that run this very installation, with the configuration file *config*."""
    script = Path(sysconfig.get_path("scripts")) / "zeek-agent"
    words = [str(script)] if script.exists() else [sys.executable, "-m", "zeek_agent_core"]
    return [*words, "-c", str(config.absolute())] if config is not None else words
