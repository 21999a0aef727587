"""The server's side of WebSocket frames, byte by byte, so that a test can do it wrong."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
SHORT = 2048
"""Bytes below which Broker's server loses a frame that comes in two pieces."""
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key: bytes) -> bytes:
    """Return the proof of having read the client's *key*."""
    return base64.b64encode(hashlib.sha1(key + _MAGIC).digest())  # noqa: S324 - RFC 6455


def make_frame(opcode: int, payload: bytes, *, is_last: bool = True) -> bytes:
    """Return a server's frame."""
    head = bytes([(0x80 if is_last else 0) | opcode])
    size = len(payload)
    if size < 126:  # noqa: PLR2004 - RFC 6455
        head += bytes([size])
    elif size < 1 << 16:
        head += bytes([126]) + size.to_bytes(2)
    else:
        head += bytes([127]) + size.to_bytes(8)
    return head + payload


def unmask(payload: bytes, key: bytes) -> bytes:
    """Return what a client wrote."""
    size = len(payload)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(keys)).to_bytes(size)


@dataclass(slots=True)
class Received:
    """A client's frame."""

    opcode: int
    payload: bytes
    """Still masked."""
    key: bytes

    @property
    def data(self) -> bytes:
        """The payload as the client wrote it."""
        return unmask(self.payload, self.key)


class Frames:
    """Cuts a client's bytes into frames."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Received]:
        """Yield the frames that are complete with *data*."""
        held = self._bytes
        held += data
        begin = 0
        while True:
            parsed = _head(held, begin)
            if parsed is None or len(held) < parsed[1] + parsed[2]:
                break
            opcode, start, size = parsed
            key = bytes(held[start - 4 : start])
            yield Received(opcode, bytes(held[start : start + size]), key)
            begin = start + size
        del held[:begin]

    @property
    def is_cut_short(self) -> bool:
        """Whether a frame of less than 2048 bytes has come in part, its head whole."""
        parsed = _head(self._bytes, 0)
        return parsed is not None and parsed[1] + parsed[2] < SHORT


def _head(held: bytearray, begin: int) -> tuple[int, int, int] | None:
    """Return opcode, where the payload starts, and its size."""
    if len(held) < begin + 2:
        return None
    size, start = held[begin + 1] & 0x7F, begin + 2
    wide = {126: 2, 127: 8}.get(size, 0)
    if len(held) < start + wide + 4:
        return None
    if wide:
        size = int.from_bytes(held[start : start + wide])
    return held[begin] & 0x0F, start + wide + 4, size
