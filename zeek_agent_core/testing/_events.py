"""Evented tables: they start, deliver, and stop at once, more than one time."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from zeek_agent_core.table import Evented
from zeek_agent_core.values import Row

LISTEN_SECONDS = 0.2
STOP_SECONDS = 1.0
STARTS = 2


async def collect(table: Evented) -> tuple[list[Row], list[str]]:
    """Return the events of a short while, and what is wrong with starting and stopping."""
    rows: list[Row] = []
    found: list[str] = []
    for number in range(STARTS):
        word = "starting" if number == 0 else "starting again after a stop"
        reason = await _listen(table, rows)
        if reason:
            found.append(f"{word}: {reason}")
            break
    return rows, found


async def _listen(table: Evented, rows: list[Row]) -> str | None:
    """Run the events of *table* for a while, then cancel them as the core does."""

    async def listen() -> None:
        async for came in table.events():
            rows.extend([came] if isinstance(came, Mapping) else came)

    others = asyncio.all_tasks()
    task = asyncio.create_task(listen(), name=f"events of {table.name}")
    await asyncio.wait({task}, timeout=LISTEN_SECONDS)
    if task.done():
        error = task.exception()
        return f"events() fails: {error!r}" if error else "events() ends by itself"
    task.cancel()
    await asyncio.wait({task}, timeout=STOP_SECONDS)
    if not task.done():
        return f"events() still runs {STOP_SECONDS:g} s after it was cancelled"
    if not task.cancelled():
        return _uncancelled(task)
    left = {task.get_name() for task in asyncio.all_tasks() - others}
    return f"it leaves tasks behind: {', '.join(sorted(left))}" if left else None


def _uncancelled(task: asyncio.Task[None]) -> str:
    with suppress(asyncio.CancelledError):
        error = task.exception()
        if error is not None:
            return f"events() fails when it is cancelled: {error!r}"
    return "events() swallows its cancellation"
