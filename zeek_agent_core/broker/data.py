r"""Values of Zeek as Python holds them, exactly and without loss of type.

==========  ==================================================================
Broker      Python
==========  ==================================================================
none        ``None``
boolean     ``bool``
count       `Count`
integer     ``int``
real        ``float``
string      ``str``; bytes that are not UTF-8 stand as ``\xNN``
enum-value  `Enum`
timespan    `Timespan`, nanoseconds
timestamp   `Timestamp`, nanoseconds since the epoch
address     `Address`
subnet      `Subnet`
port        `values.Port`
vector      ``tuple`` (a ``list`` is taken too); Zeek's records are vectors
set         `Set`
table       `Table`, pairs of key and value
==========  ==================================================================
"""

from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any

Value = Any
"""One of the above."""

MOST_COUNT = 2**64 - 1
LEAST_INTEGER, MOST_INTEGER = -(2**63), 2**63 - 1
NANO = 1_000_000_000


class Count(int):
    """A number that is not negative, `count` in Zeek."""

    __slots__ = ()


class Timespan(int):
    """A length of time in nanoseconds, `interval` in Zeek."""

    __slots__ = ()


class Timestamp(int):
    """A moment in nanoseconds since the epoch, `time` in Zeek."""

    __slots__ = ()


class Enum(str):
    """The full name of an enumerator, for example `ZeekAgent::Add`."""

    __slots__ = ()


class Address(str):
    """An IPv4 or IPv6 address; see `address`."""

    __slots__ = ()


class Subnet(str):
    """A range of addresses, as `192.168.1.0/24`."""

    __slots__ = ()


class Set(tuple[Any, ...]):
    """Elements in the order they came in."""

    __slots__ = ()


class Table(tuple[Any, ...]):
    """Pairs of key and value in the order they came in."""

    __slots__ = ()


@lru_cache(maxsize=8192)
def address(text: str) -> Address | None:
    """Return *text* as an address that every Zeek takes; None if it is none.

    Some Zeeks end with an address they cannot parse. A zone, which Zeek has no
    place for, is left out.
    """
    bare = text.partition("%")[0]
    try:
        if ":" in bare:
            return Address(inet_ntop(AF_INET6, inet_pton(AF_INET6, bare)))
        inet_pton(AF_INET, bare)
    except (OSError, ValueError):  # ValueError: a NUL, or text beyond ASCII
        return None
    return Address(bare)
