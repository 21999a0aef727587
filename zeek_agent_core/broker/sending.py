"""Sends the rows of results in slices, as fast as the server takes them.

A session numbers the events of a connection in the order of its orders. Rows
wait here for their turn, single events overtake them, so that a hello is never
late behind a large result; the ledger says which number is confirmed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from time import monotonic

from zeek_agent_core.broker.actions import Publish, PublishRows
from zeek_agent_core.broker.codec import RowEncoder, Rules, compile_row_encoder, row_prefix
from zeek_agent_core.broker.transport import Transport
from zeek_agent_core.query import ResultColumn, ResultRow

log = logging.getLogger(__name__)

SLICE = 256
SLICE_BYTES = 256 << 10
SLICE_SECONDS = 0.005
MOST_ENCODERS = 512


class Sender:
    """The way out of one connection; `run` is its task."""

    def __init__(self, transport: Transport) -> None:
        """Send through *transport*."""
        self._transport = transport
        self._numbered = 0
        self._handed = 0
        self._waiting: deque[tuple[PublishRows, int, Rules, asyncio.Future[None]]] = deque()
        self._ledger: deque[tuple[int, int]] = deque()
        self._wake = asyncio.Event()
        self._encoders: dict[tuple[tuple[ResultColumn, ...], Rules, bool], RowEncoder] = {}

    def publish(self, order: Publish) -> None:
        """Send one event, before rows that wait."""
        self._numbered += 1
        self._handed += 1
        self._transport.publish(order.topic, order.event, order.arguments)

    def rows(self, order: PublishRows, rules: Rules) -> asyncio.Future[None]:
        """Send rows in their turn; the future is done once they are with the transport."""
        self._numbered += len(order.rows)
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((order, self._numbered, rules, done))
        self._wake.set()
        return done

    def confirmed(self) -> int | None:
        """Return up to which number events have reached the server, if there is news."""
        reached, number = self._transport.stats.confirmed_events, None
        while self._ledger and self._ledger[0][0] <= reached:
            number = self._ledger.popleft()[1]
        return number

    async def run(self) -> None:
        """Send until cancelled; what waits then is not sent."""
        try:
            while True:
                while self._waiting:
                    order, last, rules, done = self._waiting[0]
                    try:
                        await self._send(order, last, rules)
                    except Exception:
                        log.exception("cannot send rows of query %s", order.query_id)
                    self._waiting.popleft()
                    if not done.done():
                        done.set_result(None)
                self._wake.clear()
                await self._wake.wait()
        finally:
            self.close()

    def close(self) -> None:
        """Let nobody wait for rows that are not sent any more."""
        for _, _, _, done in self._waiting:
            if not done.done():
                done.set_result(None)
        self._waiting.clear()

    async def _send(self, order: PublishRows, last: int, rules: Rules) -> None:
        is_spread = order.is_spread
        encode = self._encoder(order.columns, rules, is_spread=is_spread)
        prefix = row_prefix(order.topic, order.event, order.head(), rules, is_spread=is_spread)
        rows, begin = order.rows, 0
        while begin < len(rows):
            while (full := self._transport.ready()) is not None:
                await full
            frames = _slice(encode, prefix, rows, begin)
            self._transport.publish_encoded(frames)
            begin += len(frames)
            self._handed += len(frames)
            self._ledger.append((self._handed, last - len(rows) + begin))
            await asyncio.sleep(0)

    def _encoder(
        self, columns: tuple[ResultColumn, ...], rules: Rules, *, is_spread: bool
    ) -> RowEncoder:
        key = (columns, rules, is_spread)
        encoder = self._encoders.get(key)
        if encoder is None:
            if len(self._encoders) >= MOST_ENCODERS:
                self._encoders.clear()
            encoder = self._encoders[key] = compile_row_encoder(columns, rules, is_spread=is_spread)
        return encoder


def _slice(encode: RowEncoder, prefix: str, rows: Sequence[ResultRow], begin: int) -> list[bytes]:
    """Return frames of the next rows: so many that the event loop hardly notices."""
    frames: list[bytes] = []
    size, until = 0, monotonic() + SLICE_SECONDS
    for number in range(begin, min(begin + SLICE, len(rows))):
        frame = encode(prefix, rows[number])
        frames.append(frame)
        size += len(frame)
        if size > SLICE_BYTES or (not number & 15 and monotonic() > until):
            break
    return frames
