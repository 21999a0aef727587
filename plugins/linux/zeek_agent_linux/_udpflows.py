"""UDP: what the kernel tells of sockets that send, joined with what lists of them show."""

from collections import OrderedDict
from collections.abc import Sequence

from zeek_agent_core.api import Host
from zeek_agent_linux._sockdiff import UDP, Differences
from zeek_agent_linux._sockrows import Flow
from zeek_agent_linux._tcpstates import Told

MOST = 16_384
Ends = tuple[object, ...]


class Datagrams:
    """Sockets that were told of when they sent are not told of again when a list shows them."""

    def __init__(self, host: Host) -> None:
        """List the sockets of *host*."""
        self._differences = Differences(host, {UDP})
        self._told: OrderedDict[Ends, Flow] = OrderedDict()

    def sends(self, flow: Flow) -> None:
        """Note that *flow* has been told of."""
        self._told[_ends(flow)] = flow
        if len(self._told) > MOST:
            self._told.popitem(last=False)

    def look(self) -> list[Told]:
        """Return what is to be told since the last look; for a thread, one at a time."""
        return self._differences.look()

    def new(self, told: Sequence[Told]) -> list[Told]:
        """Return what of a look was not told yet, with the flows that were."""
        rest: list[Told] = []
        for state, flow in told:
            ends = _ends(flow)
            known = self._told.get(ends)
            if known is None:
                rest.append((state, flow))
            elif state == "closed":
                known.since = None  # that of the kernel's clock is no use here
                rest.append((state, self._told.pop(ends)))
        return rest


def _ends(flow: Flow) -> Ends:
    return (flow.netns, flow.local_addr, flow.local_port, flow.remote_addr, flow.remote_port)
