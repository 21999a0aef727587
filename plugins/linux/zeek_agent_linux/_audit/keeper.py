"""Loads the audit rules that are wanted, and removes them again."""

import contextlib
from threading import Lock

from zeek_agent_linux._audit.netlink import Control, refusal
from zeek_agent_linux._audit.rules import KEY, Rule


class Keeper:
    """Our rules in the kernel; for any thread, since loading may wait for a file system."""

    def __init__(self, control: Control) -> None:
        """Load nothing yet."""
        self._control = control
        self._lock = Lock()
        self._wanted: frozenset[Rule] = frozenset()
        self._loaded: set[Rule] = set()
        self._is_closed = False

    def remove_left_overs(self) -> int:
        """Remove the rules of an agent that was killed; return how many there were."""
        old = [rule for rule in self._control.rules() if rule.key == KEY]
        for rule in old:
            self._control.delete(rule)
        return len(old)

    def load(self, wanted: frozenset[Rule]) -> list[str]:
        """Have exactly the rules *wanted* loaded; return why some cannot be."""
        with self._lock:
            if self._is_closed:
                return []
            self._wanted = wanted
            for rule in self._loaded - wanted:
                self._control.delete(rule)
            self._loaded &= wanted
            return self._load(wanted - self._loaded)

    def _load(self, missing: frozenset[Rule]) -> list[str]:
        failures = set()
        for rule in missing:
            try:
                self._control.add(rule)
                self._loaded.add(rule)
            except OSError as error:
                texts = [str(value) for _, _, value in rule.terms if isinstance(value, str)]
                what = f" for {', '.join(texts)}" if texts else ""
                failures.add(f"audit rule{what} refused: {refusal(error).strerror}")
        return sorted(failures)

    def reload(self) -> int:
        """Load again what somebody else removed; return how many rules that were."""
        with self._lock:
            gone = frozenset(self._loaded.difference(self._control.rules()))
            if not self._is_closed:
                self._load(gone)
            return len(gone)

    def close(self) -> None:
        """Remove all that were loaded; nothing is loaded afterwards."""
        with self._lock:
            self._is_closed = True
            for rule in self._loaded:
                with contextlib.suppress(OSError):
                    self._control.delete(rule)
            self._loaded.clear()
