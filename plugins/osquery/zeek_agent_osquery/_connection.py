"""One connection to osquery: calls, one after the other, each with a deadline."""

from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

from zeek_agent_osquery import _binary
from zeek_agent_osquery._binary import Buffer, Parser
from zeek_agent_osquery._errors import GarbledError, LateError
from zeek_agent_osquery._transport import Transport

T = TypeVar("T")
Read = Callable[[Buffer], Parser[T]]


class Connection:
    """Sends calls over a transport; of no more use after an error."""

    def __init__(self, transport: Transport, most_bytes: int) -> None:
        """Use *transport*; an answer may have *most_bytes*."""
        self.transport = transport
        self.most_bytes = most_bytes
        self.calls = 0

    def begin(
        self, method: str, fields: tuple[bytes, ...], read: Read[T], seconds: float
    ) -> "Call[T]":
        """Send a call whose result *read* understands, and which must be over in *seconds*."""
        self.calls += 1
        return Call(self, method, fields, read, seconds)

    def close(self) -> None:
        """End the connection."""
        self.transport.close()


class Call(Generic[T]):
    """A call under way; `step` until it is done."""

    def __init__(
        self,
        connection: Connection,
        method: str,
        fields: tuple[bytes, ...],
        read: Read[T],
        seconds: float,
    ) -> None:
        """Send it."""
        self._transport = connection.transport
        self._method = method
        self._seconds = seconds
        self._until = monotonic() + seconds
        self._buffer = Buffer(connection.most_bytes)
        number = connection.calls
        self._parser = _binary.reply(self._buffer, method, number, read)
        self.result: T
        next(self._parser)
        try:
            self._transport.send(_binary.call(method, number, *fields), seconds)
        except TimeoutError:
            raise self._late() from None

    @property
    def has_begun(self) -> bool:
        """Whether any of the answer has come."""
        return self._buffer.came > 0

    def step(self, seconds: float) -> bool:
        """Wait up to *seconds* for more of the answer; return whether `result` is there."""
        left = self._until - monotonic()
        if left <= 0:
            raise self._late()
        chunk = self._transport.receive(min(seconds, left))
        if not chunk:
            return False
        self._buffer.feed(chunk)
        try:
            next(self._parser)
        except StopIteration as stop:
            if self._buffer.at != len(self._buffer.data):
                raise GarbledError(f"more came than the answer to {self._method}") from None
            self.result = stop.value
            return True
        return False

    def finish(self) -> T:
        """Wait for the result."""
        while not self.step(self._seconds):
            pass
        return self.result

    def _late(self) -> LateError:
        what = "gave no answer" if not self.has_begun else "did not finish its answer"
        return LateError(f"osquery {what} to {self._method} within {self._seconds:g} s")
