"""``services``: what the service control manager knows, through psutil."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from zeek_agent_core.api import PAUSE, Host, Origin, Row, TableError, Where, hookimpl, storable
from zeek_agent_core.schema import services

RUNNING = {"running", "start_pending", "continue_pending", "stop_pending", "pause_pending"}
ENABLED = {"automatic": True, "disabled": False, "manual": None}
"""By the type of the start; one that is started by hand does not start by itself."""

Listing = Callable[[], Iterable[Callable[[], Mapping[str, Any]]]]
"""Lists services; each is asked for its facts, and `OSError` means that it must not be."""


def listed() -> Iterator[Callable[[], Mapping[str, Any]]]:
    """Yield how to ask for each service."""
    if sys.platform == "win32":
        import psutil  # noqa: PLC0415 - 10 ms that not every agent needs

        def ask(service: Any) -> Mapping[str, Any]:
            try:
                return dict(service.as_dict())
            except (psutil.Error, OSError) as error:
                raise OSError(str(error)) from error

        for service in psutil.win_service_iter():
            yield lambda service=service: ask(service)  # type: ignore[misc]
        return
    raise OSError("there is a service control manager on Windows only")


class Services(services.Services):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="`EnumServicesStatusEx`, `QueryServiceConfig`, through psutil",
        needs="Administrators for services that are protected",
        verified="a scripted host with what psutil gives",
        null=("load_state", "sub_state"),
    )

    def __init__(self, host: Host, listing: Listing = listed) -> None:
        """List with *listing*."""
        super().__init__(host)
        self._listing = listing

    def rows(self, where: Where) -> Iterator[Row]:  # noqa: ARG002 - each is asked for all at once
        """Yield a row per service; those that must not be asked are warned of."""
        try:
            for ask in self._listing():
                try:
                    row = service_row(ask())
                except OSError as error:
                    self.warn(f"a service cannot be asked: {error}")
                    yield PAUSE
                else:
                    yield row
        except OSError as error:
            raise TableError(self.name, f"cannot list services: {error}") from error


def service_row(facts: Mapping[str, Any]) -> Row:
    """Return the row for the facts of a service."""
    status, start = facts.get("status"), facts.get("start_type")
    return {
        "name": storable(facts["name"]),
        "description": storable(facts.get("display_name") or "") or None,
        "is_running": status in RUNNING,
        "is_enabled": None if start is None else ENABLED.get(start),
        "path": storable(facts.get("binpath") or "") or None,
        "pid": facts.get("pid") or None,
        "active_state": status,
        "unit_file_state": start,
    }


@hookimpl
def zeek_agent_tables(host: Host) -> list[Services]:
    """Offer the table on the host itself."""
    return [Services(host)] if host.platform == "windows" else []
