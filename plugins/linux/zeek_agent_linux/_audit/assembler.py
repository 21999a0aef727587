"""Pure: records to events. Those of one event share time and serial, and may be interleaved.

An event ends with an EOE record. Where that is missing it is complete when it
has a PROCTITLE, which is its last record otherwise, and newer events have
come; or when it is two seconds old.
"""

from zeek_agent_linux._audit.records import (
    EOE,
    PROCTITLE,
    SYSCALL,
    URINGOP,
    WANTED,
    Record,
    Stamp,
    fields,
    parse_stamp,
)
from zeek_agent_linux._audit.syscalls import name_of

MOST_OPEN = 1024
"""Events that may be open at a time; beyond, the oldest counts as complete."""
MOST_RECORDS = 512
"""Records of one event: two megabytes of arguments; what comes beyond is dropped."""
SETTLED, TOO_OLD = 0.1, 2.0
"""Seconds after which an event with all its records, and any event, is complete without EOE."""


class Event:
    """The records of one system call."""

    __slots__ = ("_call", "born", "records", "stamp", "syscall")

    def __init__(self, stamp: Stamp, born: float) -> None:
        """Begin an event that was first heard of at *born* (monotonic seconds)."""
        self.stamp = stamp
        self.born = born
        self.records: list[tuple[int, str]] = []
        self._call: dict[str, str] | None = None
        self.syscall: str | None = None
        """Name of the system call, if it is one of those that tables know; once complete."""

    @property
    def call(self) -> dict[str, str]:
        """The fields of the SYSCALL record."""
        if self._call is None:
            self._call = next((fields(body) for kind, body in self.records if kind == SYSCALL), {})
        return self._call

    def bodies(self, kind: int) -> list[str]:
        """Return the records of one *kind*, in order."""
        return [body for of, body in self.records if of == kind]

    def settle(self) -> bool:
        """Look up the call; return whether the event has one, or something in its place."""
        call = self.call
        self.syscall = name_of(call.get("arch"), call.get("syscall"))
        return bool(call) or any(kind == URINGOP for kind, _ in self.records)


class Assembler:
    """Puts records together; feed it, then take what is complete."""

    def __init__(self, most_open: int = MOST_OPEN) -> None:
        """Hold at most *most_open* events that are not complete."""
        self._most = most_open
        self._open: dict[str, Event] = {}
        self._complete: list[Event] = []
        self._last_other = ""
        self.newest = 0
        """The highest number of an event."""
        self.begun = 0
        """Events of which something came, of any kind."""
        self.incomplete = 0
        """Events whose first record was lost, so that nothing is known of them."""
        self.dropped = 0
        """Records that could not be read, or were too many for one event."""

    @property
    def is_waiting(self) -> bool:
        """Whether an event is open."""
        return bool(self._open)

    def add(self, record: Record, now: float) -> None:
        """Take a record that came at *now* (monotonic seconds)."""
        kind, name, body = record
        event = self._open.get(name)
        if kind == EOE:
            if event is not None:
                self._finish(name, event)
            return
        if kind not in WANTED:
            if event is None and name != self._last_other:
                self._last_other = name
                self.begun += 1
            return
        if event is None:
            event = self._begin(name, now)
            if event is None:
                return
        if len(event.records) < MOST_RECORDS:
            event.records.append((kind, body))
        else:
            self.dropped += 1

    def _begin(self, name: str, now: float) -> Event | None:
        stamp = parse_stamp(name)
        if stamp is None:
            self.dropped += 1
            return None
        if len(self._open) >= self._most:
            oldest = next(iter(self._open))
            self._finish(oldest, self._open[oldest])
        event = self._open[name] = Event(stamp, now)
        self.newest = max(self.newest, stamp.serial)
        self.begun += name != self._last_other
        return event

    def _finish(self, name: str, event: Event) -> None:
        del self._open[name]
        if event.settle():
            self._complete.append(event)
        else:
            self.incomplete += 1

    def expire(self, now: float) -> None:
        """Complete events that have waited for their end long enough."""
        for name, event in self._late(now):
            self._finish(name, event)

    def _late(self, now: float) -> list[tuple[str, Event]]:
        late = []
        for name, event in self._open.items():
            age = now - event.born
            if age < SETTLED:
                break  # the others are younger
            is_followed = self.newest > event.stamp.serial
            has_all = event.records[-1][0] == PROCTITLE and event.records[0][0] == SYSCALL
            if age >= TOO_OLD or (is_followed and has_all):
                late.append((name, event))
        return late

    def finish(self) -> None:
        """Complete all events that are open: nothing comes any more."""
        for name, event in list(self._open.items()):
            self._finish(name, event)

    def take(self) -> list[Event]:
        """Return the events that are complete, in the order in which they became so."""
        complete, self._complete = self._complete, []
        return complete
