"""``registry_values``: values of the registry."""

from collections.abc import Iterator
from typing import Any

from zeek_agent_core.api import PAUSE, Host, Origin, Row, TableError, Where, hookimpl, storable
from zeek_agent_core.schema import registry_values as schema
from zeek_agent_windows._registry import (
    SECTION,
    SETTINGS,
    Key,
    Registry,
    Search,
    changed,
    data_text,
    registry,
    type_name,
)


class RegistryValues(schema.RegistryValues):  # noqa: D101 - described by its declaration
    settings_section = SECTION
    settings = SETTINGS
    origin = Origin(
        source="`winreg`, the view of 64-bit programs",
        needs="Administrators, or SYSTEM, for keys that are protected",
        verified="a scripted registry",
    )

    def __init__(self, host: Host, asked: Registry | None = None) -> None:
        """Ask *asked*, which is the host's unless it is given."""
        super().__init__(host)
        self._registry = asked

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield a row per value of each key."""
        try:
            asked = self._registry or registry()
        except OSError as error:
            raise TableError(self.name, f"there is no registry: {error}") from error
        search = Search(self, asked, where)
        for key in search.find():
            if key is not None:
                yield from self._rows(asked, search, key, where)
            yield PAUSE

    def _rows(self, asked: Registry, search: Search, key: Key, where: Where) -> Iterator[Row]:
        try:
            values = asked.values(key.root, key.path)
            mtime = changed(asked.info(key.root, key.path)) if where.wants("mtime") else None
        except FileNotFoundError:
            return
        except OSError as error:
            search.warn(key.shown, error)
            return
        for name, data, kind in sorted(values, key=lambda value: value[0].casefold()):
            row: dict[str, Any] = {"path": key.shown, "name": storable(name)}
            row |= {"type": type_name(kind), "mtime": mtime}
            if where.admits("name", row["name"]) and where.admits("type", row["type"]):
                row["data"], is_cut = data_text(data, self.setting("max_value_bytes"))
                if is_cut:
                    self.warn(f"the value {name!r} of {key.shown} is cut")
                yield row


@hookimpl
def zeek_agent_tables(host: Host) -> list[RegistryValues]:
    """Offer the table on the host itself."""
    return [RegistryValues(host)] if host.platform == "windows" else []
