"""The order of events of several processors."""

import time

from zeek_agent_linux._traceorder import SLACK, Ordered


class Processors:
    """Hands out what it is given."""

    def __init__(self):
        self.waiting = []

    def read(self):
        yield from self.waiting
        self.waiting = []


async def test_order_and_newest_events():
    """Events come in the order of time; the newest are held until no older can come."""
    processors = Processors()
    ordered = Ordered(processors)
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    later = now + 10 * SLACK
    processors.waiting = [[(5, 1, ()), (9, 1, ())], [(2, 2, ()), (later, 2, ())], [(7, 3, ())]]
    assert [event[0] for event in await ordered.read()] == [2, 5, 7, 9]
    assert ordered.is_holding
    assert now - SLACK <= ordered.until
    processors.waiting = [[(later - 1, 1, ())]]
    while not (events := await ordered.read()):
        pass
    assert [event[0] for event in events] == [later - 1, later]
    assert not ordered.is_holding
