"""``services``: service units of systemd, asked over D-Bus."""

import os
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from zeek_agent_core.api import Host, Origin, Row, TableError, Where, hookimpl
from zeek_agent_core.schema import services
from zeek_agent_linux._dbus import Bus, Call, Failure

RUNTIME = "/run/systemd/system"  # exists where systemd is the manager, see sd_booted(3)
SOCKET = "/run/dbus/system_bus_socket"
DESTINATION = "org.freedesktop.systemd1"
OBJECT = "/org/freedesktop/systemd1"
SERVICE = "org.freedesktop.systemd1.Service"
MANAGER = "org.freedesktop.systemd1.Manager"
LIST_UNITS = Call(OBJECT, MANAGER, "ListUnitsByPatterns", "asas", ([], ["*.service"]))
LIST_FILES = Call(OBJECT, MANAGER, "ListUnitFilesByPatterns", "asas", ([], ["*.service"]))

ENABLED = {
    "enabled": True,
    "enabled-runtime": True,
    "disabled": False,
    "masked": False,
    "masked-runtime": False,
}
"""Other states are of units that something else starts, or nothing can."""
RUNNING = {"active", "reloading", "refreshing", "deactivating"}
IDLE = {"inactive", "failed"}


class Services(services.Services):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="systemd, over D-Bus",
        needs="-",
        verified="a message bus with a scripted systemd",
    )

    settings = MappingProxyType({"timeout": 5.0})

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield a row per service; main processes are asked for where they are wanted."""
        seconds = float(self.setting("timeout"))
        path = str(self.host.path(SOCKET))
        try:
            with Bus(path, DESTINATION, seconds) as bus:
                (units,) = bus.call(LIST_UNITS)
                (files,) = bus.call(LIST_FILES)
                pids = main_pids(bus, units) if where.wants("pid") else {}
        except OSError as error:
            reason = error.strerror or error
            raise TableError(self.name, f"cannot ask systemd at {path}: {reason}") from error
        yield from merge(units, files, pids)


def main_pids(bus: Bus, units: Iterable[tuple[Any, ...]]) -> dict[str, int]:
    """Return the main process of each service that has one."""
    paths = {unit[0]: unit[6] for unit in units if unit[3] not in IDLE}
    calls = [
        Call(path, "org.freedesktop.DBus.Properties", "Get", "ss", (SERVICE, "MainPID"))
        for path in paths.values()
    ]
    pids = {}
    for name, answer in zip(paths, bus.calls(calls), strict=True):
        if not isinstance(answer, Failure):  # a service may have gone meanwhile
            ((_, pid),) = answer
            if pid:
                pids[name] = int(pid)
    return pids


def merge(
    units: Iterable[tuple[Any, ...]], files: Iterable[tuple[str, str]], pids: Mapping[str, int]
) -> Iterator[Row]:
    """Yield a row for each loaded unit, then for each that there is only a file of."""
    known = {os.path.basename(path): (path, state) for path, state in files}  # noqa: PTH119
    loaded = set()
    for name, description, load, active, sub, *_ in sorted(units):
        loaded.add(name)
        path, state = known.get(name) or known.get(template(name)) or (None, None)
        yield {
            "name": name,
            "description": description,
            "is_running": active in RUNNING and sub != "exited",
            "is_enabled": ENABLED.get(state or ""),
            "path": path,
            "pid": pids.get(name),
            "load_state": load,
            "active_state": active,
            "sub_state": sub,
            "unit_file_state": state,
        }
    for name, (path, state) in sorted(known.items()):
        if name not in loaded and state != "alias" and "@." not in name:
            yield {
                "name": name,
                "is_running": False,
                "is_enabled": ENABLED.get(state),
                "path": path,
                "active_state": "inactive",
                "sub_state": "dead",
                "unit_file_state": state,
            }


def template(name: str) -> str:
    """Return the unit file of an instance: `a@b.service` comes from `a@.service`."""
    stem, at, _ = name.partition("@")
    return f"{stem}@.service" if at else name


@hookimpl
def zeek_agent_tables(host: Host) -> list[Services]:
    """Offer the table where systemd is the manager and can be asked."""
    return [Services(host)] if host.path(RUNTIME).is_dir() else []
