"""Two programs for the interpreter that has the bindings: a Zeek, and an agent's transport.

`python native_roles.py zeek` peers with whoever comes, and answers each event
`ask` with `answer` and the same arguments. `python native_roles.py agent PORT`
joins it, asks, and prints what it was told as JSON.
"""

# ruff: noqa: T201 - it talks to the test by its output

import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import broker

TOPIC = "/zeek-agent/query/host/H1"


def zeek():
    """Answer until standard input ends."""
    options = broker.BrokerOptions()
    options.disable_ssl = True
    endpoint = broker.Endpoint(broker.Configuration(options))
    subscriber = endpoint.make_subscriber("/zeek-agent/response")
    print(endpoint.listen("127.0.0.1", 0), flush=True)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for _topic, value in subscriber.poll():
            event = broker.zeek.Event(value)
            if event.name() == "die":
                return
            if event.name() == "types":
                now = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
                values = (
                    True, -5, broker.Count(7), 1.5, "ü", b"\xff", broker.Enum("M::E"), now,
                    timedelta(milliseconds=1500), ip_address("::1"), ip_network("10.0.0.0/8"),
                    broker.Port(80, broker.Port.TCP), None, ("a", 1), {"x"}, {"k": 1},
                )  # fmt: skip
                endpoint.publish(TOPIC, broker.zeek.Event("answer", values))
            else:
                answer = broker.zeek.Event("answer", event.args())
                endpoint.publish(TOPIC, answer)
        time.sleep(0.005)


class Handler:
    """Keeps what the transport tells."""

    def __init__(self):
        self.peer = None
        self.events = []

    def connected(self, peer):
        """Note the peer."""
        self.peer = peer

    def received(self, event):
        """Note an event."""
        self.events.append(event)


async def agent(port):
    """Ask, count, and see the peer go."""
    from zeek_agent_core.broker import codec, data, destination
    from zeek_agent_core.broker.bindings import Peering
    from zeek_agent_core.broker.transport import Lost
    from zeek_agent_core.query import ResultColumn
    from zeek_agent_core.values import Port, Type

    endpoint = destination.parse(f"broker://127.0.0.1:{port}").endpoints[0]
    transport, handler, why = Peering(endpoint, limit=3.0), Handler(), []

    async def run():
        try:
            await transport.run([TOPIC, "/zeek-agent/query/group/all"], handler)
        except Lost as lost:
            why.append((str(lost.reason), str(lost)))

    running = asyncio.create_task(run())

    async def wait_for(condition):
        for _ in range(1000):
            if condition() or running.done():
                return
            await asyncio.sleep(0.01)

    await wait_for(lambda: handler.peer is not None)
    if handler.peer is None:
        await running
        print(json.dumps({"why": why}))
        return
    values = (
        True, -5, data.Count(7), 1.5, "ü", data.Enum("M::E"),
        data.Timestamp(1_700_000_000_123_456_000),
        data.Timespan(1_500_000_000), data.Address("::1"), data.Subnet("10.0.0.0/8"),
        Port(80, "tcp"), None, ("a", data.Count(1)), data.Set(("x",)), data.Table((("k", 1),)),
    )  # fmt: skip
    out = "/zeek-agent/response/all/H1"
    transport.publish(out, "ask", (values,))
    transport.publish(out, "types", ())
    await wait_for(lambda: len(handler.events) == 2)
    echoed = handler.events[0].arguments[0][0] if handler.events else ()
    types = [type(v).__name__ for v in handler.events[1].arguments[0]] if handler.events[1:] else []
    encode = codec.compile_row_encoder((ResultColumn("n", Type.COUNT),), transport.rules)
    prefix = codec.row_prefix(out, "ask", ("H1",), transport.rules)
    begun = time.perf_counter()
    for start in range(0, 2000, 100):
        transport.publish_encoded([encode(prefix, (n,)) for n in range(start, start + 100)])
        await asyncio.sleep(0)
    await wait_for(lambda: len(handler.events) == 2002)
    rows = [event.arguments[0][1][0] for event in handler.events[2:]]
    took = time.perf_counter() - begun
    transport.publish(out, "die", ())
    await running
    print(
        json.dumps(
            {
                "version": handler.peer.version,
                "same": echoed == values,
                "echoed": repr(echoed),
                "types": types,
                "in_order": rows == list(range(2000)),
                "rows": len(rows),
                "seconds": took,
                "why": why,
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1] == "zeek":
        zeek()
    else:
        asyncio.run(agent(int(sys.argv[2])))
