"""What a statement is: which tables it reads, whether it only reads, what is wrong with it."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import apsw

from zeek_agent_core.errors import (
    ForbiddenError,
    LimitError,
    QueryError,
    StatementError,
    StoppedError,
)
from zeek_agent_core.query import ResultColumn
from zeek_agent_core.sql.run import Run
from zeek_agent_core.table import Table

TABLE_FUNCTIONS = frozenset({"json_each", "json_tree", "generate_series"})
"""Table-valued functions of SQLite that only compute."""

EXTRA_FUNCTIONS = frozenset({"median", "percentile", "percentile_cont", "percentile_disc"})
"""Pure functions of SQLite that it does not mark as innocuous."""

INNOCUOUS = apsw.SQLITE_INNOCUOUS

_COMMENTS = re.compile(r"(?:[\s;]|--[^\n]*(?:\n|\Z)|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z))*\Z")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that compiled."""

    sql: str
    columns: tuple[ResultColumn, ...]
    tables: frozenset[str]
    """Names of the agent's tables that it reads."""


def is_blank(text: str) -> bool:
    """Return whether *text* has nothing but white space, comments and semicolons."""
    return _COMMENTS.match(text) is not None


def pure_functions(connection: apsw.Connection) -> frozenset[str]:
    """Return the names of SQLite's functions that neither do I/O nor change anything."""
    listed = connection.execute("SELECT name, flags FROM pragma_function_list")
    return frozenset(str(name) for name, flags in listed if flags & INNOCUOUS) | EXTRA_FUNCTIONS


def builtin_modules(connection: apsw.Connection) -> frozenset[str]:
    """Return the names of the virtual tables that SQLite brings along."""
    return frozenset(str(name) for (name,) in connection.execute("PRAGMA module_list"))


class Authorizer:
    """Lets a statement read the agent's tables and compute; refuses all else.

    https://www.sqlite.org/c3ref/set_authorizer.html
    """

    def __init__(
        self, tables: Mapping[str, Table], functions: frozenset[str], modules: frozenset[str]
    ) -> None:
        """Allow the *tables* and *functions*; *tables* may change later.

        *modules* are the table-valued functions that SQLite has by itself.
        """
        self.tables = tables
        self.functions = functions
        self.modules = modules
        self.run: Run | None = None

    def __call__(
        self,
        action: int,
        first: str | None,
        second: str | None,
        database: str | None,
        _trigger: str | None,
    ) -> int:
        """Decide on one action of the statement that is being compiled."""
        if action == apsw.SQLITE_SELECT:
            return apsw.SQLITE_OK
        if action == apsw.SQLITE_READ:
            return self._read(first or "") if database else self._name(first or "", second or "")
        if action == apsw.SQLITE_FUNCTION:
            return self._function((second or "").lower())
        if action == apsw.SQLITE_RECURSIVE:
            return self._recursive()
        name = apsw.mapping_authorizer_function.get(action, str(action))
        words = str(name).removeprefix("SQLITE_").replace("_", " ")
        what = f"{words} {first}" if first else words
        if (first or "").startswith("sqlite_"):  # what CREATE, DROP, ANALYZE write first
            what = "changing the database"
        return self._refuse(f"{what} is not allowed: queries can only read tables")

    def _read(self, table: str) -> int:
        name = table.lower()
        if name in self.tables:
            if self.run is not None:
                self.run.tables.add(name)
            return apsw.SQLITE_OK
        if name in TABLE_FUNCTIONS:
            return apsw.SQLITE_OK
        return self._refuse(f"reading {table} is not allowed: it is no table of the agent")

    def _name(self, name: str, column: str) -> int:
        """Decide on a name that belongs to no database.

        It is a common table expression, or a table of which no column is read.
        """
        table = name.lower()
        is_foreign = table in self.modules or table.startswith(("pragma_", "sqlite_"))
        if not column and (is_foreign or table in self.tables):
            return self._read(name)
        return apsw.SQLITE_OK

    def _function(self, name: str) -> int:
        if name in self.functions:
            if self.run is not None:
                self.run.functions.add(name)
            return apsw.SQLITE_OK
        return self._refuse(f"function {name}() is not allowed: it does more than compute")

    def _recursive(self) -> int:
        if self.run is not None:
            self.run.is_recursive = True
            if not self.run.limits.recursion_steps:
                self.run.failure = LimitError("recursive queries are turned off")
                return apsw.SQLITE_DENY
        return apsw.SQLITE_OK

    def _refuse(self, reason: str) -> int:
        if self.run is not None and self.run.failure is None:
            self.run.failure = ForbiddenError(reason)
        return apsw.SQLITE_DENY


def explain(error: Exception, sql: str, tables: Iterable[Table]) -> QueryError:
    """Return what the asker is told of an *error* that SQLite or a table raised."""
    if isinstance(error, QueryError):
        return error
    message = str(error).removeprefix("SQLError: ")
    if isinstance(error, apsw.InterruptError):
        return StoppedError("the query was cancelled")
    if isinstance(error, apsw.NoMemError | apsw.FullError):
        return LimitError("the query needs more memory than allowed ([limits] memory)")
    if isinstance(error, apsw.TooBigError):
        return LimitError("a value or the statement itself is larger than allowed")
    if isinstance(error, UnicodeError):
        message = f"text that is not valid Unicode: {error}"
    elif isinstance(error, apsw.BindingsError):
        message = "the statement has a placeholder, such as ? or :name; write a value"
    return StatementError(f"{message}{_hint(message, tables)} in: {_shortened(sql)}")


def _shortened(sql: str, most: int = 300) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= most else line[: most - 3] + "..."


def _hint(message: str, tables: Iterable[Table]) -> str:
    """Return the names nearest to the one that SQLite does not know."""
    kind, _, name = message.partition(": ")
    candidates = _CANDIDATES.get(kind)
    if candidates is None:
        return ""
    wanted = name.split(".")[-1].split(" - ")[0].strip()
    near = difflib.get_close_matches(wanted.lower(), candidates(tables), n=3, cutoff=0.6)
    return f" (did you mean {', '.join(near)}?)" if near else ""


def _table_names(tables: Iterable[Table]) -> list[str]:
    return [table.name for table in tables]


def _column_names(tables: Iterable[Table]) -> list[str]:
    return sorted({column.name for table in tables for column in table.columns})


def _function_names(_: Iterable[Table]) -> list[str]:
    from zeek_agent_core.sql.functions import FUNCTIONS  # noqa: PLC0415 - not at every start

    return list(FUNCTIONS)


_CANDIDATES: Mapping[str, Callable[[Iterable[Table]], list[str]]] = {
    "no such table": _table_names,
    "no such column": _column_names,
    "no such function": _function_names,
}
