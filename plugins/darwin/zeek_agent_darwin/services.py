"""``services``: jobs of launchd."""

import subprocess
from collections.abc import Iterator
from typing import Protocol

from zeek_agent_core.api import Host, Origin, Row, TableError, Where, hookimpl
from zeek_agent_core.schema import services
from zeek_agent_darwin._launchd import Domain, Job, parse_domain, parse_job

LAUNCHCTL = "/bin/launchctl"
FOLDERS = ("/System/Library/LaunchDaemons", "/Library/LaunchDaemons")
LARGEST = 1 << 20
"""Bytes of a property list; larger files are none."""
PATIENCE = 20.0


class Launchd(Protocol):
    """What is asked of the system."""

    def domain(self) -> str:
        """Return what `launchctl print system` prints."""


class SystemLaunchd:
    """The launchd of this host."""

    def domain(self) -> str:
        """Ask launchctl(1)."""
        done = subprocess.run(  # noqa: S603 - a fixed path, no shell
            [LAUNCHCTL, "print", "system"],
            capture_output=True,
            check=True,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
        return done.stdout.decode(errors="replace")


class Services(services.Services):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="property lists of launch daemons, `launchctl print system`",
        needs="-",
        verified="output written after launchctl's documentation",
        null=("description", "load_state", "active_state", "sub_state", "unit_file_state"),
    )

    def __init__(self, host: Host, launchd: Launchd | None = None) -> None:
        """Ask *launchd*, which is the host's unless it is given."""
        super().__init__(host)
        self._launchd: Launchd = launchd or SystemLaunchd()

    def rows(self, where: Where) -> Iterator[Row]:  # noqa: ARG002 - one question for all
        """Yield a row per job that has a file, then for each that has none."""
        try:
            domain = parse_domain(self._launchd.domain())
        except (OSError, subprocess.SubprocessError) as error:
            raise TableError(self.name, f"cannot ask launchctl: {error}") from error
        seen = set()
        for path, job in self._jobs():
            if job.label not in seen:
                seen.add(job.label)
                enabled = domain.enabled.get(job.label, not job.is_disabled)
                yield {**_row(job.label, domain), "is_enabled": enabled, "path": path}
        for label in sorted(domain.pids.keys() - seen):
            yield {**_row(label, domain), "is_enabled": domain.enabled.get(label)}

    def _jobs(self) -> Iterator[tuple[str, Job]]:
        """Yield the files of jobs; what is none is warned of."""
        for folder in FOLDERS:
            for file in sorted(self.host.path(folder).glob("*.plist")):
                path = f"{folder}/{file.name}"
                try:
                    with file.open("rb") as opened:
                        job = parse_job(opened.read(LARGEST))
                except OSError as error:
                    self.warn(f"cannot read {path}: {error.strerror}")
                    continue
                if job is None:
                    self.warn(f"{path} is no job of launchd")
                else:
                    yield path, job


def _row(label: str, domain: Domain) -> Row:
    pid = domain.pids.get(label)
    return {"name": label, "is_running": pid is not None, "pid": pid}


@hookimpl
def zeek_agent_tables(host: Host) -> list[Services]:
    """Offer the table on the host itself."""
    return [Services(host)] if host.platform == "darwin" else []
