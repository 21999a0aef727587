"""Pure: when a hello is due, with which id, in which layout."""

from collections.abc import Callable

FIRST_PAUSE = 1.0
"""Seconds until a hello that nobody answers is repeated; the pause doubles from there."""
SILENCE = 300.0
"""Seconds without an answer after which the connection is given up."""
REFUSED = "failed to create Zeek event"
"""In the complaint of Zeek's own server about an event of another layout."""


class Greeting:
    """Says hello until it is answered, then at intervals."""

    def __init__(self, interval: float, new_id: Callable[[], str]) -> None:
        """Repeat an answered hello every *interval* seconds; *new_id* makes query ids."""
        self.interval = interval
        self.query_id = ""
        self.is_answered = False
        self.fields = 13
        self._new_id = new_id
        self._pause = FIRST_PAUSE
        self._due: float | None = None
        self._since = 0.0
        self._is_swapped = False

    @property
    def due(self) -> float | None:
        """When there is something to do next; None without connection."""
        if self._due is None or self.is_answered:
            return self._due
        return min(self._due, self._since + SILENCE)

    def is_due(self, now: float) -> bool:
        """Return whether it is time for a hello."""
        return self._due is not None and now >= self._due

    def start(self, now: float, fields: int) -> None:
        """Begin a connection, with a layout of so many *fields*."""
        self.fields = fields
        self._is_swapped = False
        self.renew(now)

    def renew(self, now: float) -> None:
        """Take a new id, so that Zeek sends its queries again, and say hello at once."""
        self.query_id = self._new_id()
        self.is_answered = False
        self._since = now
        self._pause = FIRST_PAUSE
        self._due = now

    def stop(self) -> None:
        """Fall silent: the connection is gone."""
        self._due = None

    def said(self, now: float) -> None:
        """Note that a hello goes out."""
        pause = self.interval if self.is_answered else min(self._pause, self.interval)
        self._pause *= 2
        self._due = now + pause

    def answered(self, now: float) -> None:
        """Note that a Zeek was heard."""
        if not self.is_answered and self._due is not None:
            self.is_answered = True
            self._due = now + self.interval

    def hasten(self, moment: float) -> None:
        """Say the next hello at *moment*, if it would come later."""
        if self._due is not None:
            self._due = min(self._due, moment)

    def is_ignored(self, now: float) -> bool:
        """Return whether no Zeek has answered for too long."""
        return self._due is not None and not self.is_answered and now >= self._since + SILENCE

    def refused(self, complaint: str, now: float) -> bool:
        """Try the other layout if *complaint* may be about this one; return whether it does."""
        if self.is_answered or self._is_swapped or self._due is None or REFUSED not in complaint:
            return False
        self._is_swapped = True
        self.fields = 25 - self.fields
        self._due = now
        return True
