"""Rows, examples and parameters: what a live read of a table shows."""

import asyncio
import gc
import ipaddress
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import islice

from zeek_agent_core.table import Column, Snapshot, Table, Where
from zeek_agent_core.testing._probe import Bag, Probe, attempt, differ, shortened
from zeek_agent_core.values import SqlValue, Type, is_of_type, to_sql

INT64 = 1 << 63
MOST_FINDINGS = 10
DESCRIPTORS = "/proc/self/fd"


async def example_findings(probe: Probe) -> list[str]:
    """Return the examples that do not run."""
    tried = [await attempt(sql, probe) for sql in probe.table.examples]
    return [f"example {error}" for error in tried if error]


async def parameter_findings(probe: Probe) -> list[str]:
    """Return the parameters for which neither the caller nor an example has an argument."""
    declared = {column.name for column in probe.table.columns if column.is_parameter}
    unknown = sorted(set(probe.parameters) - declared)
    if unknown:
        return [f"it has no parameter {name}" for name in unknown]
    probe.take_parameters()
    return [
        f"no argument for the required parameter {column.name}: give parameters= or an example"
        for column in probe.table.columns
        if column.is_required and column.name not in probe.parameters
    ]


async def select_findings(probe: Probe) -> list[str]:
    """Return what is wrong with the rows of one live ``SELECT *``."""
    table = probe.table
    found = []
    try:
        if isinstance(table, Snapshot):
            rows = await asyncio.to_thread(lambda: list(table.rows(whole(probe))))
            found = value_findings(table, rows)
        if not found:
            await probe.execute(probe.select(probe.columns))
    except Exception as error:
        return [f"reading all of it fails: {type(error).__name__}: {error}"]
    return found


def whole(probe: Probe) -> Where:
    """Return a `Where` that asks for everything."""
    columns = probe.table.columns
    defaults = {column.name: column.default for column in columns if column.is_parameter}
    names = frozenset(column.name for column in columns)
    return Where(names, {**defaults, **probe.parameters})


def value_findings(table: Table, rows: Iterable[object]) -> list[str]:
    """Return what is wrong with *rows*, each thing once."""
    known = {column.name: column for column in table.columns}
    found: dict[str, None] = {}
    for row in rows:
        if not isinstance(row, Mapping):
            return [f"a row is a {type(row).__name__}, not a mapping: {shortened(row)}"]
        for name, value in row.items():
            column = known.get(name)
            reason = "it is not declared" if column is None else _objection(column, value)
            if reason:
                found[f"column {name}: {reason}"] = None
        if len(found) >= MOST_FINDINGS:
            break
    return list(found)


def _objection(column: Column, value: object) -> str | None:
    """Return why *value* cannot stand in *column*."""
    try:
        stored = to_sql(column.type, value, column.element)
        if isinstance(stored, str):
            stored.encode()
    except (TypeError, ValueError, AttributeError) as error:
        return f"{shortened(value)} is no {column.type}: {error}"
    if isinstance(value, str) and column.type is not Type.BLOB and stored != value:
        return f"{shortened(value)} has undecodable bytes; pass it through `storable`"
    return _implausible(column.type, stored)


def _implausible(kind: Type, stored: SqlValue) -> str | None:
    if stored is None:
        return None
    if not is_of_type(stored, kind):
        return f"{shortened(stored)} is no {kind}"
    if isinstance(stored, int):
        return _implausible_integer(kind, stored)
    if kind is Type.ADDRESS and not _is_address(str(stored)):
        return f"{stored!r} is no IP address; unknown is None"
    return None


def _implausible_integer(kind: Type, stored: int) -> str | None:
    if not -INT64 <= stored < INT64:
        return f"{stored} does not fit into 64 bits"
    if kind is Type.COUNT and stored < 0:
        return f"a count cannot be {stored}; unknown is None"
    if kind is Type.BOOL and stored not in (0, 1):
        return f"{stored} is no bool"
    return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


async def subset_findings(probe: Probe) -> list[str]:
    """Return the columns that differ when they are read without the others."""
    found = []
    for column in probe.stable:
        outcome = await differ(partial(_projected, probe, column), partial(probe.bag, (column,)))
        if outcome:
            found.append(f"column {column} differs when read alone: {outcome}")
    return found


async def _projected(probe: Probe, column: str) -> Bag:
    """Return one column of a read of all columns."""
    position = probe.columns.index(column)
    rows = await probe.execute(probe.select(probe.columns))
    return Counter((row[position],) for row in rows)


async def abandon_findings(probe: Probe) -> list[str]:
    """Return what remains when a read stops early, and whether two reads disturb each other."""
    return await asyncio.to_thread(lambda: [*_abandon(probe)])


def _abandon(probe: Probe) -> Iterator[str]:
    table = probe.table
    if not isinstance(table, Snapshot):
        return
    gc.collect()
    before = _descriptors()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        try:
            _stop_early(table, whole(probe))
        except Exception as error:
            yield f"stopping a read early fails: {type(error).__name__}: {error}"
            return
        gc.collect()
    if _descriptors() > before:
        yield "stopping a read early leaves files open"
    for message in {str(warning.message) for warning in caught}:
        yield f"stopping a read early leaves something open: {message}"


def _stop_early(table: Snapshot, where: Where) -> None:
    """Read no row, one row, two rows; two reads are under way at a time."""
    for count in range(3):
        with ExitStack() as stack:
            for read in (iter(table.rows(where)), iter(table.rows(where))):
                close = getattr(read, "close", None)
                if close is not None:
                    stack.callback(close)
                list(islice(read, count))


def _descriptors() -> int:
    """Return the number of open files, where the system tells."""
    return len(os.listdir(DESCRIPTORS)) if os.path.isdir(DESCRIPTORS) else 0  # noqa: PTH112, PTH208
