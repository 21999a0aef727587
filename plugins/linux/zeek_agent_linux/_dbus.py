"""Calls to a D-Bus service, with a deadline for all of them together."""

import socket
from collections.abc import Iterator, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Self

RECEIVE_BYTES = 1 << 16
AT_ONCE = 64
"""Calls under way at a time: the daemon refuses more than its `max_replies_per_connection`."""


class Call(NamedTuple):
    """One method call."""

    path: str
    interface: str
    method: str
    signature: str = ""
    arguments: tuple[Any, ...] = ()


class Failure(NamedTuple):
    """The answer to a call that failed."""

    name: str
    """For example `org.freedesktop.DBus.Error.NoReply`."""
    message: str


class Bus:
    """A connection to the bus at a socket; raises `OSError` where it does not work.

    The codec is jeepney's, the socket is ours: each step has to keep the deadline,
    also the first greeting.
    """

    def __init__(self, path: str, destination: str, seconds: float) -> None:
        """Prepare to talk to *destination* for at most *seconds*."""
        self.path = path
        self.destination = destination
        self.deadline = monotonic() + seconds
        self._serial = 0
        self._socket: socket.socket
        self._parser: Any

    def __enter__(self) -> Self:
        """Connect and say hello."""
        from jeepney import (  # type: ignore[import-untyped]  # noqa: PLC0415 - 20 ms not every agent needs
            Parser,
        )
        from jeepney.auth import (  # type: ignore[import-untyped]  # noqa: PLC0415
            AuthenticationError,
        )
        from jeepney.io.blocking import (  # type: ignore[import-untyped]  # noqa: PLC0415
            prep_socket,
        )

        try:
            self._socket = prep_socket(self.path, timeout=self._left())
        except AuthenticationError as error:
            raise PermissionError(f"{self.path}: {error}") from error
        self._parser = Parser()
        hello = Call("/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
        try:
            _result(hello, self._exchange([self._message(hello, hello.interface)])[0])
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up."""
        self._socket.close()

    def call(self, call: Call) -> tuple[Any, ...]:
        """Return what one call returns; raise `OSError` if it fails."""
        return _result(call, self.calls([call])[0])

    def calls(self, calls: Sequence[Call]) -> list[tuple[Any, ...] | Failure]:
        """Return the answers to *calls*; many are sent before the first answer is awaited."""
        answers: list[tuple[Any, ...] | Failure] = []
        for start in range(0, len(calls), AT_ONCE):
            some = calls[start : start + AT_ONCE]
            answers += self._exchange([self._message(call, self.destination) for call in some])
        return answers

    def _message(self, call: Call, destination: str) -> Any:
        from jeepney import DBusAddress, new_method_call  # noqa: PLC0415

        address = DBusAddress(call.path, destination, call.interface)
        return new_method_call(address, call.method, call.signature or None, call.arguments)

    def _exchange(self, messages: Sequence[Any]) -> list[tuple[Any, ...] | Failure]:
        answers: dict[int, tuple[Any, ...] | Failure] = {}
        serials = range(self._serial + 1, self._serial + 1 + len(messages))
        self._serial += len(messages)
        for serial, message in zip(serials, messages, strict=True):
            self._socket.settimeout(self._left())
            self._socket.sendall(message.serialise(serial))
        while len(answers) < len(messages):
            answers.update(pair for pair in self._receive() if pair[0] in serials)
        return [answers[serial] for serial in serials]

    def _receive(self) -> Iterator[tuple[int, tuple[Any, ...] | Failure]]:
        """Yield the answers in what arrives next; signals and the like are passed over."""
        from jeepney import HeaderFields, MessageType  # noqa: PLC0415

        self._socket.settimeout(self._left())
        data = self._socket.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionResetError(f"{self.path}: the bus hung up")
        self._parser.add_data(data)
        while (message := self._parser.get_next_message()) is not None:
            fields = message.header.fields
            serial = fields.get(HeaderFields.reply_serial, 0)
            if message.header.message_type is MessageType.method_return:
                yield serial, tuple(message.body)
            elif message.header.message_type is MessageType.error:
                said = str(message.body[0]) if message.body else ""
                yield serial, Failure(fields.get(HeaderFields.error_name, "unknown"), said)

    def _left(self) -> float:
        left = self.deadline - monotonic()
        if left <= 0:
            raise TimeoutError(f"{self.path}: no answer in time")
        return left


def _result(call: Call, answer: tuple[Any, ...] | Failure) -> tuple[Any, ...]:
    if isinstance(answer, Failure):
        raise OSError(f"{call.method} failed: {answer.message or answer.name}")
    return answer
