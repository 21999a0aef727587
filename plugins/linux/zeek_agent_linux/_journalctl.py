"""Pure: what `journalctl` is asked, and rows of what it prints."""

from zeek_agent_core.api import Row, Where
from zeek_agent_linux import _entries, _export
from zeek_agent_linux._journal import Start

CURSOR, TIME = b"__CURSOR", b"__REALTIME_TIMESTAMP"


_COMMON = ("--output=export", "--all", "--quiet", "--no-pager")


def newest(directory: str, count: int) -> list[str]:
    """Return the arguments with which `journalctl` prints the newest *count* entries."""
    given = [*_COMMON, f"--lines={count}", "--output-fields=_BOOT_ID"]
    return [*given, f"--directory={directory}"] if directory else given


def first_cursor(printed: bytes, count: int) -> str | None:
    """Return the cursor of the first of *count* entries in *printed*; None if there are fewer."""
    entries = list(_export.Parser().feed(printed))
    if len(entries) < count:
        return None
    return dict(entries[0]).get(CURSOR, b"").decode() or None


def arguments(directory: str, start: Start, plan: _entries.Plan) -> list[str]:
    """Return the arguments with which `journalctl` prints what *plan* reads from *start* on."""
    given = [*_COMMON, "--follow", "--no-tail"]
    if directory:
        given.append(f"--directory={directory}")
    if start.cursor is not None:
        # `--after-cursor` would leave out an entry where that of the cursor is gone.
        given.append(f"--cursor={start.cursor}")
    if not plan.has_all:
        given.append("--output-fields=" + b",".join(plan.names).decode())
    return given


class Reader:
    """Turns what `journalctl` prints into rows."""

    def __init__(self, start: Start) -> None:
        """Read what follows *start*."""
        self._start = start
        self._parser = _export.Parser()
        self._is_first = True
        self._is_behind = True

    def read(self, data: bytes, where: Where, plan: _entries.Plan) -> tuple[list[Row], str]:
        """Return rows of what was printed, and the place of the last entry; maybe none."""
        rows: list[Row] = []
        cursor = b""
        for pairs in self._parser.feed(data):
            fields = dict(reversed(pairs))  # of several the first counts
            cursor = fields.get(CURSOR, b"")
            if self._is_first:
                self._is_first = False
                if is_same(cursor.decode(errors="replace"), self._start.cursor):
                    continue
            time = _entries.number(fields.get(TIME, b""))
            if time is None or (self._is_behind and time < self._start.earliest):
                continue
            self._is_behind = False
            row = plan.row(fields.get, time)
            if plan.wants_more:
                row["fields"] = plan.more(pairs)
            if not where.is_narrow or _entries.admits(where, row):
                rows.append(row)
        return rows, cursor.decode(errors="replace")


def is_same(one: str, other: str | None) -> bool:
    """Return whether two cursors mean the same entry: sequence and number in it say so."""
    return other is not None and one.split(";")[:2] == other.split(";")[:2]
