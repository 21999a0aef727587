"""One execution of a statement, as the database's thread sees it."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from time import perf_counter
from typing import Any

from zeek_agent_core.errors import ParameterError, QueryError
from zeek_agent_core.limits import Limits
from zeek_agent_core.table import Table, Where
from zeek_agent_core.values import Row

Positions = Mapping[str, tuple[int, int | None]]
"""For evented tables: after which event to read, and up to which."""

Guard = Callable[[Table, Where, Callable[[Where], Iterator[Row]]], Iterator[Row]]
"""Decides on every scan of a table: what may be scanned, and which rows may be seen."""

MOST_RESTARTS = 8
"""A join that asks somebody for each row must not begin anew for each of them."""

_SELECT = re.compile(r"\bselect\b", re.IGNORECASE)
_IN_TABLE = re.compile(r"\bin\b(?!\s*\()", re.IGNORECASE)


class Scan:
    """What one table did for one run."""

    __slots__ = ("error", "rows", "seconds")

    def __init__(self) -> None:
        """Start at nothing."""
        self.rows = 0
        self.seconds = 0.0
        self.error: str | None = None


class Run:
    """State of one execution; set *stop* from any thread to end it."""

    def __init__(
        self, sql: str, limits: Limits, positions: Positions, guard: Guard | None = None
    ) -> None:
        """Prepare to run *sql*; *positions* say from where events are read."""
        self.sql = sql
        self.limits = limits
        self.positions = positions
        self.guard = guard
        self.stop: QueryError | None = None
        self.failure: QueryError | None = None
        self.is_recursive = False
        self.steps = 0
        self.text_bytes: int | None = None
        """Size of the text and blobs so far, where it is counted on the way."""
        self.tables: set[str] = set()
        self.functions: set[str] = set()
        """Names of the functions that the statement calls."""
        self.wanted: dict[str, list[Where]] = {}
        """What each scan of an evented table wanted."""
        self.unmet: ParameterError | None = None
        """The condition for lack of which a plan was refused."""
        self.kept: dict[Any, Any] = {}
        """What tables keep for later scans of this statement."""
        self.restarts = 0
        """How often the statement began anew since a table had to wait."""
        self.has_rows = False
        """Whether rows have been handed on, after which it cannot begin anew."""
        self.is_single = False
        """Whether every run reads one table, in one scan, with the same conditions."""
        self.scans: dict[str, Scan] = {}
        self.began: float | None = None
        """When the job that the thread is doing for this run began."""
        self.spent = 0.0
        """Seconds of the jobs that are done."""

    @cached_property
    def lists_are_literal(self) -> bool:
        """Whether every list after an `IN` is surely spelt out in the statement."""
        return len(_SELECT.findall(self.sql)) <= 1 and _IN_TABLE.search(self.sql) is None

    @property
    def may_wait(self) -> bool:
        """Whether a table may wait outside of the database's thread."""
        return not self.has_rows and self.restarts < MOST_RESTARTS

    def scan(self, table: str) -> Scan:
        """Return what *table* has done for this run so far."""
        return self.scans.setdefault(table, Scan())

    def elapsed(self) -> float:
        """Return the seconds that the thread has worked for this run."""
        began = self.began
        return self.spent + (0.0 if began is None else perf_counter() - began)
