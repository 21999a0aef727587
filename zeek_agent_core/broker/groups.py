"""Pure: the groups an agent is in: its own, and those that Zeeks add it to at run time."""

from collections.abc import Iterable

from zeek_agent_core.broker.topics import group_name, memberships

MOST_REMOTE = 100


class Groups:
    """A membership lasts until the Zeek that began it ends it, or has been gone too long."""

    def __init__(self, own: Iterable[str], platform: str) -> None:
        """Start with the groups of the configuration."""
        self._own = tuple(own)
        self._platform = platform
        self._remote: dict[str, dict[str, float | None]] = {}
        """For each group the Zeeks that want it, and until when one that is away counts."""
        self._members = memberships(self._own, platform)

    def members(self) -> tuple[str, ...]:
        """Return all groups the agent is in, in order of subscription."""
        return self._members

    def join(self, group: str, instance: str) -> bool:
        """Add the agent to *group*; return whether that can be."""
        name = group_name(group)
        if name is None or (name not in self._remote and len(self._remote) >= MOST_REMOTE):
            return False
        self._remote.setdefault(name, {})[instance] = None
        self._changed()
        return True

    def leave(self, group: str, instance: str) -> bool:
        """End the membership that *instance* began; return whether there was one."""
        name = group_name(group) or ""
        if instance not in self._remote.get(name, {}):
            return False
        del self._remote[name][instance]
        self._changed()
        return True

    def seen(self, instance: str) -> None:
        """Note that *instance* is here."""
        for wanting in self._remote.values():
            if instance in wanting:
                wanting[instance] = None

    def parked(self, instance: str, until: float) -> None:
        """Let the memberships that *instance* began end at *until*, unless it comes back."""
        for wanting in self._remote.values():
            if instance in wanting:
                wanting[instance] = until

    def forget(self, instance: str) -> bool:
        """End all memberships that *instance* began; return whether there were any."""
        had = [wanting.pop(instance, False) is not False for wanting in self._remote.values()]
        self._changed()
        return any(had)

    def due(self) -> float | None:
        """Return when `expire` has something to do."""
        moments = [until for wanting in self._remote.values() for until in wanting.values()]
        return min((moment for moment in moments if moment is not None), default=None)

    def expire(self, now: float) -> bool:
        """End memberships whose Zeek has been gone too long; return whether there were any."""
        first = self.due()
        if first is None or first > now:
            return False
        for wanting in self._remote.values():
            for instance, until in list(wanting.items()):
                if until is not None and until <= now:
                    del wanting[instance]
        self._changed()
        return True

    def _changed(self) -> None:
        self._remote = {group: wanting for group, wanting in self._remote.items() if wanting}
        self._members = memberships((*self._own, *self._remote), self._platform)
