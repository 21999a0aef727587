"""Turns what a notifier hears into changes of files, and keeps the watches where they should be."""

import asyncio
import os
import time
from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import NamedTuple

from zeek_agent_linux import _actors, _changes
from zeek_agent_linux._actors import UNKNOWN, Actor
from zeek_agent_linux._changes import Change, Tally
from zeek_agent_linux._happenings import Happening, Heard, Notifier, What
from zeek_agent_linux._readable import Readable
from zeek_agent_linux._trees import Interest, Overlaps, Plan, Watches, below, everywhere

FEW = 32
"""Events at one time that are few."""
PAUSE = 0.02
"""Seconds until the next read where there are more."""
ENOUGH = 20_000
"""Kinds of changes that are held before rows are made of them."""
NOTHING = Interest()


class Place(NamedTuple):
    """A name in a directory that is watched, or was."""

    path: str | None
    """None if the directory is not watched."""
    interest: Interest
    """What is of interest in the directory."""
    name: str

    @property
    def is_wanted(self) -> bool:
        """Whether what happens here is of interest."""
        return self.path is not None and self.interest.wants(self.name)


NOWHERE = Place(None, NOTHING, "")


class FileWatch:
    """The watches for some patterns, and what is heard of them."""

    def __init__(self, notifier: Notifier, root: str, patterns: Sequence[str], most: int) -> None:
        """Watch *patterns* below *root* through *notifier*, with at most *most* watches."""
        self._notifier = notifier
        self._root = root
        self._patterns = patterns
        self._most = most
        self.watches = Watches(notifier, root, most)
        self._overlaps: Overlaps = everywhere
        self.is_stale = False
        """Whether there is more to watch than is watched, so that `plan` is needed."""
        self.overflows = 0
        self._actors: dict[int, Actor] = {}
        self._halves: dict[int, tuple[Happening, Change]] = {}
        """What was moved away, by cookie, until it is known where to."""
        self._guessed: set[str | None] = set()
        """What was found by looking a moment ago: it may be told of still."""
        self._moved: set[str] = set()
        """Directories that were moved, in which there may be new ones not watched yet."""

    def plan(self, overlaps: Overlaps, *, is_news: bool = False) -> list[Change]:
        """Look what there is to watch, as far as it *overlaps*, and watch it; for a thread.

        Return, if it *is_news*, what is in the directories that were not known.
        """
        self._overlaps = overlaps
        self.is_stale = False
        plan = Plan(self._root, self._most, overlaps)
        for pattern in self._patterns:
            plan.add(pattern)
        added = self.watches.apply(plan)
        news = self._inside(added) if is_news else []
        self._guessed |= {change.path for change in news}
        return news

    def _inside(self, directories: Sequence[str]) -> list[Change]:
        """Return all of *directories*, and what is in them, as created."""
        found = dict.fromkeys(directories, True)
        for directory in directories:
            with suppress(OSError), os.scandir(self._root + directory) as entries:
                for entry in entries:
                    path = os.path.join(directory, entry.name)  # noqa: PTH118 - one of many
                    found[path] = entry.is_dir(follow_symlinks=False)
        now = time.time_ns() // 1000
        return [
            Change(now, _changes.CREATED, path, is_directory=is_directory, is_guess=True)
            for path, is_directory in found.items()
        ]

    async def gather(self, ready: Readable, seconds: float) -> Tally:
        """Return the changes that are heard of in so many *seconds*.

        While there are few of them each is read at once, since the process that
        made it may be gone soon.
        """
        until = time.monotonic() + seconds
        self._actors.clear()
        waiting = set(self._halves)
        tally = Tally(before=self._guessed)
        left = seconds
        while left > 0 and len(tally) < ENOUGH:
            heard = self._notifier.read()
            await self._hear(heard, tally)
            if self._notifier.has_more:
                await asyncio.sleep(0)
            elif len(heard.happenings) > FEW:
                await asyncio.sleep(PAUSE)
            else:
                await ready.wait(0, left)
            left = until - time.monotonic()
        for cookie in waiting & self._halves.keys():
            happening, change = self._halves.pop(cookie)
            # The directory itself may have another name by now.
            place = self._place(happening.watch, happening.name)
            tally.extend(await self._renaming(change, place, NOWHERE))
        if self._moved:
            tally.extend(await asyncio.to_thread(self._look_again, time.time_ns() // 1000))
        self._guessed = tally.guesses()
        return tally

    async def _hear(self, heard: Heard, tally: Tally) -> None:
        """Add what was *heard* to *tally*, and mind the watches."""
        self.overflows += heard.overflows
        self.is_stale |= heard.overflows > 0
        now = time.time_ns() // 1000
        for happening in heard.happenings:
            if happening.is_directory or happening.what & What.MOVES:
                tally.extend(await self._change(happening, now))
                await asyncio.sleep(0)  # all watches may have been looked through
            else:
                self._count(happening, now, tally)
        for watch in heard.gone:
            self.watches.gone(watch)

    def _count(self, happening: Happening, now: int, tally: Tally) -> None:
        """Add what happened to a file that keeps its name: most of all, and no I/O."""
        watch, name, what, _, pid, *_ = happening
        watched = self.watches.get(watch)
        if watched is None or not name:
            return
        interest = watched.interest
        if not interest.is_whole and not interest.wants(name):
            self.is_stale |= bool(what & What.CREATED) and interest.leads(name)
            return
        path = f"{watched.path.rstrip('/')}/{name}"
        actor = UNKNOWN if pid is None else self._actor(pid)
        for action in _changes.actions(what, lambda: os.path.lexists(self._root + path)):
            tally.add(now, action, path, pid, actor)

    async def wait(self, ready: Readable, seconds: float) -> None:
        """Wait until there is something to gather; for half of a renaming, so many seconds."""
        if not self._notifier.has_more:
            await ready.wait(0, seconds if self._halves else None)

    async def _change(self, happening: Happening, now: int) -> list[Change]:
        """Return what a happening to a directory, or a renaming, changes."""
        place = self._place(happening.watch, happening.name)
        what, cookie, pid = happening.what, happening.cookie, happening.pid
        actor = UNKNOWN if pid is None else self._actor(pid)
        change = Change(now, "", None, None, happening.is_directory, pid, actor)
        if what & What.RENAMED:
            new = self._place(happening.new_watch, happening.new_name)
            return await self._renaming(change, place, new)
        changes: list[Change] = []
        if what & What.MOVED_FROM and cookie:
            self._halves[cookie] = happening, change
        elif what & What.MOVED_FROM:
            changes += await self._renaming(change, place, NOWHERE)
        if what & What.MOVED_TO:
            half = self._halves.pop(cookie, None)
            old = NOWHERE if half is None else self._place(half[0].watch, half[0].name)
            changes += await self._renaming(change, old, place)
        return changes + await self._happened(change, what, place)

    async def _happened(self, change: Change, what: int, place: Place) -> list[Change]:
        """Return what happened to the directory, or file, at *place* that is no renaming."""
        path, interest = place.path, place.interest
        if path is None:
            return []
        if place.name:
            self.is_stale |= bool(what & What.CREATED) and interest.leads(place.name)
            if not place.is_wanted:
                return []
        elif not interest.is_whole or (self._notifier.tells_twice and not self._is_root(path)):
            return []
        actions = _changes.actions(what, lambda: os.path.lexists(self._root + path))
        changes = [change._replace(action=action, path=path) for action in actions]
        if change.is_directory and what & What.DELETED:
            self.watches.deleted(path)
        if change.is_directory and what & What.CREATED:
            changes += await asyncio.to_thread(self._enter, path, change.time)
        return changes

    async def _renaming(self, change: Change, old: Place, new: Place) -> list[Change]:
        """Return the change of a name; *change* says all but the names."""
        inside: list[Change] = []
        if change.is_directory:
            self.is_stale |= new.path is not None and new.interest.leads(new.name)
            if old.path is not None:
                self.watches.moved(old.path, new.path if new.is_wanted else None)
                self._moved |= {new.path} if new.path is not None and new.is_wanted else set()
            if new.path is not None and new.is_wanted and not self.watches.is_watched(new.path):
                inside = await asyncio.to_thread(self._enter, new.path, change.time)
        if not old.is_wanted and not new.is_wanted:
            return []
        renamed = change._replace(action=_changes.RENAMED, path=new.path, old_path=old.path)
        return [renamed, *inside]

    def _look_again(self, now: int) -> list[Change]:
        """Watch directories that were made in others just before these were moved."""
        moved, self._moved = self._moved, set()
        changes: list[Change] = []
        for top in moved:
            for path in below(self._root, top):
                if not self.watches.is_watched(path) and self._overlaps(path):
                    changes.append(
                        Change(now, _changes.CREATED, path, is_directory=True, is_guess=True)
                    )
                    changes += self._enter(path, now)
        return changes

    def _enter(self, path: str, now: int) -> list[Change]:
        """Watch a new directory; return what was in it before it was watched."""
        return [
            Change(now, _changes.CREATED, inside, is_directory=is_directory, is_guess=True)
            for inside, is_directory in self.watches.enter(path, self._overlaps)
        ]

    def _place(self, watch: Hashable, name: str) -> Place:
        watched = None if watch is None else self.watches.get(watch)
        if watched is None:
            return Place(None, NOTHING, name)
        path = os.path.join(watched.path, name) if name else watched.path  # noqa: PTH118
        return Place(path, watched.interest, name)

    def _is_root(self, path: str) -> bool:
        """Return whether nothing is told of *path* by the directory that it is in."""
        parent = self.watches.at(os.path.dirname(path))  # noqa: PTH120
        return parent is None or parent.interest.is_passage

    def _actor(self, pid: int) -> Actor:
        known = self._actors.get(pid)
        if known is None:
            known = self._actors[pid] = _actors.look(f"{self._root}/proc", pid)
        return known
