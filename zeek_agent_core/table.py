"""What a table declares: its columns, what it takes from ``WHERE``, how it makes rows."""

import inspect
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Flag, auto
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple

from zeek_agent_core.host import Host
from zeek_agent_core.values import Row, Type

PAUSE: Final[Row] = MappingProxyType({})
"""No row: what `Snapshot.rows` yields in long work without rows, so that it can be stopped."""


class Pushdown(Flag):
    """Conditions of ``WHERE`` that a table wants to hear of, for one column."""

    NONE = 0
    EQ = auto()
    """`=` and `IN`."""
    RANGE = auto()
    """`<`, `<=`, `>`, `>=`, `BETWEEN`."""
    PREFIX = auto()
    """`LIKE` and `GLOB`."""


NONE, EQ, RANGE, PREFIX = Pushdown.NONE, Pushdown.EQ, Pushdown.RANGE, Pushdown.PREFIX


@dataclass(frozen=True, slots=True)
class Column:
    """One column; a name with a leading underscore makes it a hidden parameter."""

    name: str
    type: Type
    description: str
    pushdown: Pushdown = NONE
    default: str | int | float | None = None
    """Value of a parameter that is not given; a parameter without default is required."""
    element: Type | None = None
    """Type of the elements of a set or vector."""
    hidden: bool = False
    """Left out of `*`; to be had by its name."""
    mandatory: bool = False
    """Every use of the table must have a condition on one of the columns that are so.

    It must be of a kind that *pushdown* names.
    """
    aliases: tuple[str, ...] = ()
    """Older names: queries may use them, `*` does not stand for them, rows do not have them."""

    @property
    def is_parameter(self) -> bool:
        """Whether the column steers what the table produces."""
        return self.name.startswith("_")

    @property
    def is_required(self) -> bool:
        """Whether every use of the table must give the parameter."""
        return self.is_parameter and self.default is None


@dataclass(frozen=True, slots=True)
class Prefix:
    """Leading text that all wanted values share."""

    text: str
    ignore_case: bool

    def begins(self, value: str) -> bool:
        """Return whether *value* begins with the text."""
        if self.ignore_case:
            return value.casefold().startswith(self.text.casefold())
        return value.startswith(self.text)


class Pattern(NamedTuple):
    """The right side of a `LIKE` or `GLOB`."""

    operator: str
    text: str


@dataclass(frozen=True, slots=True)
class Where:
    """What a query wants of a table: permission to produce less, never a duty.

    SQLite checks each row again, so a table that ignores all of it is slow,
    never wrong. Only conditions that a column asked for with *pushdown* arrive.
    """

    columns: frozenset[str]
    """Names of the columns that the query looks at."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Argument or default of every parameter, by name."""
    allowed: Mapping[str, Collection[Any]] = field(default_factory=dict)
    lows: Mapping[str, Any] = field(default_factory=dict)
    highs: Mapping[str, Any] = field(default_factory=dict)
    prefixes: Mapping[str, Prefix] = field(default_factory=dict)
    patterns: Mapping[str, tuple[Pattern, ...]] = field(default_factory=dict)
    """Every pattern that a column must match, whole; `prefixes` has how they begin."""
    kept: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What tables keep for later scans of the same statement, by keys of their own."""
    may_wait: bool = field(default=False, compare=False, repr=False)
    """Whether the scan may end in a `WaitingError` rather than hold up other statements."""

    def wants(self, *names: str) -> bool:
        """Return whether the query looks at any of the columns *names*."""
        return not self.columns.isdisjoint(names)

    def values(self, name: str) -> Collection[Any] | None:
        """Return the only values of column *name* that are wanted; None means any."""
        return self.allowed.get(name)

    def equal(self, name: str) -> Any | None:
        """Return the one value of column *name* that is wanted, if there is just one."""
        values = self.allowed.get(name)
        return next(iter(values)) if values is not None and len(values) == 1 else None

    def low(self, name: str) -> Any | None:
        """Return the smallest wanted value of column *name*, itself included."""
        return self.lows.get(name)

    def high(self, name: str) -> Any | None:
        """Return the largest wanted value of column *name*, itself included."""
        return self.highs.get(name)

    def prefix(self, name: str) -> Prefix | None:
        """Return the leading text that all wanted values of column *name* have."""
        return self.prefixes.get(name)

    @property
    def is_narrow(self) -> bool:
        """Whether there is a condition on any column."""
        return bool(self.allowed or self.lows or self.highs or self.prefixes or self.patterns)

    def admits(self, name: str, value: Any) -> bool:
        """Return whether a row with *value* in column *name* may be wanted.

        None is NULL, which no condition accepts. Times and intervals are
        numbers here, as SQLite has them.
        """
        allowed, prefix = self.allowed.get(name), self.prefixes.get(name)
        low, high = self.lows.get(name), self.highs.get(name)
        if allowed is None and prefix is None and low is None and high is None:
            return True
        if value is None or (allowed is not None and value not in allowed):
            return False
        if (low is not None and value < low) or (high is not None and value > high):
            return False
        return prefix is None or not isinstance(value, str) or prefix.begins(value)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a pack's rows come from, for the table's page."""

    source: str
    """What the system is asked."""
    needs: str
    """Privilege and consent without which rows or columns are missing; `-` where none is needed."""
    verified: str
    """How it was seen to work."""
    null: tuple[str, ...] = ()
    """Columns that are always NULL on this system."""


class Configured:
    """What has settings in the configuration: a table, or a discovery of tables."""

    name: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Keys of `[tables.<name>]` with their defaults; what is given has the type of its default."""
    settings_section: ClassVar[str | None] = None
    """The section's name where several share one."""

    def __init__(self, host: Host) -> None:
        """Bind it to *host*; no I/O here."""
        self.host = host

    @classmethod
    def section(cls) -> str:
        """Return the name of its section below `[tables]`."""
        return cls.settings_section or cls.name

    def setting(self, key: str) -> Any:
        """Return the value of *key*, one of `settings`, as configured or by default."""
        return self.host.settings.get(self.section(), {}).get(key, self.settings[key])


class Table(Configured):
    """What all tables have; derive from `Snapshot` or `Evented`.

    The class's docstring is the description that users read; its first line
    is the summary.
    """

    columns: ClassVar[tuple[Column, ...]]
    platforms: ClassVar[tuple[str, ...]] = ("linux", "darwin", "windows")
    """Platforms with a pack that fills the table."""
    volatile: ClassVar[frozenset[str]] = frozenset()
    """Columns that change by themselves from one read to the next."""
    examples: ClassVar[tuple[str, ...]] = ()
    """Statements for the table's page; each of them is run by the conformance kit."""
    scan_cost: ClassVar[float] = 0.0
    """What it takes to begin a scan, in rows; for tables that ask somebody else."""
    origin: ClassVar[Origin | None] = None
    """Where the rows come from on the system of the pack."""

    def __init__(self, host: Host) -> None:
        """Bind the table to *host*; no I/O here."""
        super().__init__(host)
        self.warnings = 0
        self.last_warning: str | None = None

    @property
    def source(self) -> str | None:
        """What serves the rows right now, where a table has a choice."""
        return None

    def warn(self, message: str) -> None:
        """Count something that could not be read; the rest of the rows still counts."""
        self.warnings += 1
        self.last_warning = message

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the table's description."""
        return cls.description().partition("\n")[0]

    @classmethod
    def description(cls) -> str:
        """Return the docstring of the nearest class that has one."""
        return inspect.getdoc(cls) or ""


class Snapshot(Table):
    """A table that computes its rows when it is asked."""

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the rows that *where* wants.

        Runs in the database's thread, one row at a time: a query that has
        enough rows asks for no more. Raise `OSError` or `TableError` when the
        whole source fails; call `warn` for a part of it. Yield `PAUSE` at least
        every second or so while there is work but no row.
        """
        raise NotImplementedError


class Evented(Table):
    """A table whose rows happen, and are held for queries to read.

    The core runs `events` while a query needs the table. Where a row has no
    `time`, the moment of its arrival is used.
    """

    retention: ClassVar[timedelta] = timedelta(minutes=10)
    """How long an event is held."""
    capacity: ClassVar[int] = 100_000
    """How many events are held; the oldest gives way and is counted as dropped."""

    def __init__(self, host: Host) -> None:
        """Bind the table to *host*; no I/O here."""
        super().__init__(host)
        self.wanted = self.everything()
        """What all queries on the table want together; it changes while `events` runs.

        Permission to yield less, as for a snapshot. Read it anew for each batch,
        after the last `await`.
        """
        self.losses: dict[str, int] = {}
        """Events that never became rows, by cause, for example `kernel`; for the agent's life."""

    @classmethod
    def everything(cls) -> Where:
        """Return what a query wants that looks at all columns and sets no condition."""
        return Where(columns=frozenset(column.name for column in cls.columns))

    def wanted_changed(self) -> None:
        """Learn in the event loop that `wanted` is another; for those that filter elsewhere."""

    def was_read(self, count: int) -> None:
        """Learn in the event loop that every query has the first *count* rows that `events` gave.

        Counted from the moment it began to run last; for those that keep a bookmark.
        """

    def lose(self, cause: str, count: int = 1) -> None:
        """Count events that were lost for *cause*, a word: `kernel`, `ring`, `policy`, ..."""
        if count:
            self.losses[cause] = self.losses.get(cause, 0) + count

    def events(self) -> AsyncIterator[Row | Sequence[Row]]:
        """Yield events without end, one by one or those that came together as a list.

        The generator is cancelled when no query needs the table any more. It
        must let go of everything then, within a second, whatever it was doing.
        """
        raise NotImplementedError


class Discovery(Configured):
    """Finds tables that come and go while the agent runs, such as those of another program.

    The core runs `watch` as long as the agent lives. Should it end or fail, its
    tables are withdrawn, and it is started again after a pause.
    """

    async def watch(self, offer: "Offer") -> None:
        """Call ``await offer(tables)`` with all tables there are, at once and after each change.

        A table that is offered again, the very same object, stays as it is.
        Names that others have are left out. It must let go of everything within
        a second when it is cancelled.
        """
        raise NotImplementedError

    def why_missing(self, table: str) -> str | None:
        """Return why *table*, which a statement names, is not there; None if it is none of ours.

        Called in the database's thread.
        """
        del table
        return None


Offer = Callable[[Sequence[Snapshot]], Awaitable[None]]
"""Takes all tables that a discovery has to offer now."""
