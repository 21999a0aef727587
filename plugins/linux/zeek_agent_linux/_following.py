"""Remembers who the processes of the host were, for tables that learn of a process too late.

The best source of ``processes_events`` that works here tells of each program as
it is executed, however short the process lives.
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Self

from zeek_agent_core.api import Host, Row, TableError, Where
from zeek_agent_linux._actors import HISTORIES, Actor
from zeek_agent_linux.processes_events import ProcessesEvents

SHORT_NAME = 15
"""Bytes of a program's name that the kernel keeps, TASK_COMM_LEN less the end."""
MOST = 16_384
"""So many processes are remembered."""
WANTED = frozenset({"pid", "uid", "name", "exe", "state"})


class Following:
    """While it is entered, `HISTORIES` knows of processes that are gone."""

    def __init__(self, host: Host) -> None:
        """Follow the processes of *host*."""
        self._table = ProcessesEvents(host)
        self._table.wanted = Where(WANTED)
        self._known: OrderedDict[int, Actor] = OrderedDict()

    async def __aenter__(self) -> Self:
        """Begin; processes that were there before are not known."""
        self._task = asyncio.create_task(self._run(), name="processes for files_events")
        HISTORIES.append(self.find)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go."""
        HISTORIES.remove(self.find)
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        with suppress(OSError, TableError):  # then nobody is remembered
            async with aclosing(self._table.events()) as events:  # type: ignore[type-var]
                async for came in events:
                    for row in [came] if isinstance(came, Mapping) else came:
                        self.learn(row)

    def learn(self, row: Row) -> None:
        """Remember the process of a row of ``processes_events``."""
        pid, path = row["pid"], row.get("exe") or row.get("name")
        before = self._known.pop(pid, None)
        if row["state"] == "stopped" and before is not None:
            self._known[pid] = before
            return
        name = path and os.path.basename(path).encode()[:SHORT_NAME].decode(errors="replace")  # noqa: PTH119
        self._known[pid] = Actor(name, row.get("exe"), row.get("uid"))
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def find(self, pid: int) -> Actor | None:
        """Return who the process with an ID is, or was last."""
        return self._known.get(pid)
