"""Pure: what the server at the other end accepts, as far as its `ack` tells."""

import re
from dataclasses import dataclass, replace

from zeek_agent_core.broker.data import NANO
from zeek_agent_core.broker.transport import Flavour, Peer

UNKNOWN = (0, 0)
FIRST_UTC = (8, 0)
"""Release from which time stamps are UTC and `\\uXXXX` is understood, by either server."""
FIRST_WITHOUT_BROKER = (8, 2)
"""Release whose package has a hello without the field `broker`."""
PADDED_BYTES = 2100
"""Broker's server may drop a connection on split frames of less than 2048 bytes."""

_BROKER_RELEASES = {(2, 3): (5, 0), (2, 4): (5, 1), (2, 5): (5, 2), (2, 6): (5, 2), (2, 7): (6, 1)}
"""Broker's version to the oldest Zeek that has it."""
_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})")
_QUARTER = 15 * 60
_NEAR = 120
"""Seconds by which clocks may differ for the difference to show a time zone."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How values and frames are written for one server."""

    micro_digits: bool = False
    """Whether time stamps have six digits after the second instead of three."""
    utc_offset: int = 0
    """Seconds to add to UTC: old servers mean their own local time."""
    unicode_escapes: bool = False
    """Whether `\\u00XX` is understood; if not, control characters are sent as they are."""
    least_bytes: int = 0
    """Length that frames are filled up to with blanks."""
    hello_fields: int = 13

    def with_offset(self, seconds: int) -> "Rules":
        """Return the same rules for a server whose time zone is known, where that matters."""
        return self if self.unicode_escapes else replace(self, utc_offset=seconds)


OLDEST = Rules(least_bytes=PADDED_BYTES)
"""What every server accepts; to be used before the `ack`."""


def peer(endpoint: str, version: str) -> Peer:
    """Return who answered with an `ack` of *endpoint* and *version*."""
    match = _VERSION.match(version)
    number = (int(match[1]), int(match[2])) if match else UNKNOWN
    if "-websocket-" in endpoint:
        return Peer(endpoint, version, Flavour.CLUSTER, number)
    if number[0] >= 5:  # noqa: PLR2004 - Zeek's number: a Broker of that release came with it
        return Peer(endpoint, version, Flavour.BROKER, number)
    release = _BROKER_RELEASES.get(number, (7, 0) if number >= (2, 8) else UNKNOWN)
    return Peer(endpoint, version, Flavour.BROKER, release)


def rules_for(server: Peer | None) -> Rules:
    """Return what *server* accepts; where it is unknown, what all do."""
    if server is None:
        return OLDEST
    is_new = server.release >= FIRST_UTC
    return Rules(
        micro_digits=is_new,
        unicode_escapes=is_new,
        least_bytes=PADDED_BYTES if server.flavour is Flavour.BROKER else 0,
        hello_fields=12 if server.release >= FIRST_WITHOUT_BROKER else 13,
    )


def offset_shown_by(sent: int, received: int) -> int | None:
    """Return the seconds between UTC and the clock that stamped an event, if it tells.

    *sent* is the stamp read as UTC, *received* the own time, both in
    nanoseconds. None means that the clocks differ by more than time zones do.
    """
    seconds = (sent - received) / NANO
    if abs(seconds) > 15 * 3600:
        return None
    offset = round(seconds / _QUARTER) * _QUARTER
    return offset if abs(seconds - offset) <= _NEAR else None
