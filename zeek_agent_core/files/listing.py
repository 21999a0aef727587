"""Rows of ``files_list``."""

import os
import stat
from collections.abc import Iterator
from typing import Any

from zeek_agent_core.api import PAUSE, Row, Where, storable
from zeek_agent_core.files.globs import SECTION, SETTINGS, Match, expand, reason
from zeek_agent_core.schema import files_list

KINDS = {
    stat.S_IFBLK: "block",
    stat.S_IFCHR: "char",
    stat.S_IFDIR: "dir",
    stat.S_IFIFO: "fifo",
    stat.S_IFREG: "file",
    stat.S_IFSOCK: "socket",
}

ATTRIBUTES = {
    value: name.removeprefix("FILE_ATTRIBUTE_").lower()
    for name, value in vars(stat).items()
    if name.startswith("FILE_ATTRIBUTE_")
}
"""Names of the bits that Windows has for a file."""


class FilesList(files_list.FilesList):  # noqa: D101 - described by its declaration
    settings_section = SECTION
    settings = SETTINGS

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield a row per path; look at the file only if more than the path is wanted."""
        wants_status = where.wants("type", "uid", "gid", "mode", "mtime", "size", "attributes")
        wants_target = where.wants("link_target")
        for match in expand(self, where):
            if match is None:
                yield PAUSE
                continue
            row: dict[str, Any] = {"path": match.path}
            if wants_status or wants_target:
                try:
                    if wants_status:
                        row |= self._status(match)
                    if wants_target:
                        row["link_target"] = _target(match)
                except FileNotFoundError:
                    continue  # gone since it was listed
                except OSError as error:
                    self.warn(f"cannot look at {match.path}: {reason(error)}")
            yield row

    def _status(self, match: Match) -> Row:
        """Return what is known of a file; nothing for a dangling link."""
        try:
            status = os.stat(match.real)  # noqa: PTH116 - speed
        except FileNotFoundError:
            os.lstat(match.real)
            return {}
        is_windows = self.host.platform == "windows"
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "other")
        return {
            "type": kind,
            "uid": None if is_windows else status.st_uid,
            "gid": None if is_windows else status.st_gid,
            "mode": format(stat.S_IMODE(status.st_mode), "o"),
            "mtime": status.st_mtime_ns // 1000,
            "size": None if is_windows and kind != "file" else status.st_size,
            "attributes": attributes(status) if is_windows else None,
        }


def attributes(status: Any) -> set[str] | None:
    """Return the names of the attributes in a file's status; only Windows has them."""
    bits = getattr(status, "st_file_attributes", None)
    return None if bits is None else {name for bit, name in ATTRIBUTES.items() if bits & bit}


def _target(match: Match) -> str | None:
    try:
        return storable(os.readlink(match.real))  # noqa: PTH115 - speed
    except FileNotFoundError:
        raise
    except OSError:
        return None  # EINVAL: it is no link
