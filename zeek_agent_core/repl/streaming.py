"""Results written as they come, in the modes that need not see them whole."""

from collections.abc import Sequence

from zeek_agent_core.query import ResultColumn, ResultRow
from zeek_agent_core.repl.cells import PLAIN, Style
from zeek_agent_core.repl.render import csv_lines, csv_values, jsonl_text, line

MODES = frozenset({"csv", "json", "jsonl", "line"})


class Streaming:
    """Turns batches of rows into pieces of text that together are the result."""

    def __init__(self, mode: str, columns: Sequence[ResultColumn], style: Style = PLAIN) -> None:
        """Write *columns* in *mode*, one of `MODES`."""
        self._mode = mode
        self._columns = columns
        self._style = style
        self._csv_values = csv_values(columns, style)
        self._is_first = True

    def begin(self) -> str:
        """Return what stands before the rows."""
        if self._mode == "csv":
            return csv_lines([[column.name for column in self._columns]]) + "\n"
        return ""

    def batch(self, rows: Sequence[ResultRow]) -> str:
        """Return the text of some rows."""
        if not rows:
            return ""
        is_first, self._is_first = self._is_first, False
        if self._mode == "csv":
            return csv_lines(map(self._csv_values, rows)) + "\n"
        if self._mode == "line":
            return ("" if is_first else "\n") + "".join(
                f"{text}\n" for text in line(self._columns, rows, self._style)
            )
        between = "\n," if self._mode == "json" else "\n"
        text = between.join(jsonl_text(self._columns, rows))
        return ("" if self._mode == "jsonl" else "[" if is_first else ",") + text + "\n"

    def end(self) -> str:
        """Return what stands after them."""
        if self._mode != "json":
            return ""
        return "[]\n" if self._is_first else "]\n"
