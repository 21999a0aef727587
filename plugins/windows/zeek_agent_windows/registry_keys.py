"""``registry_keys``: keys of the registry."""

from collections.abc import Iterator

from zeek_agent_core.api import PAUSE, Host, Origin, Row, TableError, Where, hookimpl
from zeek_agent_core.schema import registry_keys as schema
from zeek_agent_windows._registry import (
    SECTION,
    SETTINGS,
    Key,
    Registry,
    Search,
    changed,
    registry,
)


class RegistryKeys(schema.RegistryKeys):  # noqa: D101 - described by its declaration
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
        """Yield a row per key that is there."""
        try:
            asked = self._registry or registry()
        except OSError as error:
            raise TableError(self.name, f"there is no registry: {error}") from error
        search = Search(self, asked, where)
        for key in search.find():
            row = None if key is None else self._row(asked, search, key)
            yield PAUSE if row is None else row

    def _row(self, asked: Registry, search: Search, key: Key) -> Row | None:
        try:
            info = asked.info(key.root, key.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            search.warn(key.shown, error)
            return {"path": key.shown}
        return {
            "path": key.shown,
            "mtime": changed(info),
            "subkeys": info.subkeys,
            "entries": info.values,
        }


@hookimpl
def zeek_agent_tables(host: Host) -> list[RegistryKeys]:
    """Offer the table on the host itself."""
    return [RegistryKeys(host)] if host.platform == "windows" else []
