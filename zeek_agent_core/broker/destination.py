"""Where a Zeek is, as people write it.

A destination is one Zeek. It may have several endpoints, tried in turn:
`a:1,b:2`. An endpoint is `host[:port]` or `[IPv6 address][:port]`, after a
scheme where one is wanted: `ws://` (plain), `wss://` (TLS), `broker://`
(Broker's own protocol, through its Python bindings).
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from zeek_agent_core.errors import ConfigError

PORT = 27759
PATH = "/v1/messages/json"
FORMS = "write host, host:port or [IPv6 address]:port, after ws://, wss:// or broker:// if wanted"

_HOST = re.compile(r"[^\s/@:\[\]?#,%\\\"'<>]{1,253}")
_NUMERIC = re.compile(r"[\d.]+")
_ENDPOINT = re.compile(
    r"(?:(?P<scheme>[^:/]*)://)?(?P<host>\[[^\]]*\]|[^:/]*)(?P<port>:[^/]*)?(?P<path>/.*)?"
)


class Scheme(StrEnum):
    """How an endpoint is spoken to, where the text says so."""

    PLAIN = "ws"
    TLS = "wss"
    NATIVE = "broker"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address to try."""

    host: str
    """Name or address, an IPv6 address without brackets."""
    port: int = PORT
    scheme: Scheme | None = None
    path: str = PATH

    def __str__(self) -> str:
        """Return the form for messages, `host:port`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        shown = f"{host}:{self.port}"
        return f"{self.scheme}://{shown}" if self.scheme is Scheme.NATIVE else shown

    @property
    def is_loopback(self) -> bool:
        """Whether it is this very host."""
        try:
            return ipaddress.ip_address(self.host.partition("%")[0]).is_loopback
        except ValueError:
            return self.host.lower().rstrip(".") in ("localhost", "localhost.localdomain")


@dataclass(frozen=True, slots=True)
class Destination:
    """One Zeek and the endpoints it can be reached at."""

    endpoints: tuple[Endpoint, ...]

    def __str__(self) -> str:
        """Return the form for messages."""
        return ",".join(map(str, self.endpoints))


def parse_all(texts: Sequence[str]) -> tuple[Destination, ...]:
    """Return the destinations that *texts* name, each once."""
    return tuple(dict.fromkeys(parse(text) for text in texts))


def parse(text: str) -> Destination:
    """Return what *text* names; raise `ConfigError` if it cannot be understood."""
    return Destination(tuple(_endpoint(part.strip(), text) for part in text.split(",")))


def _endpoint(part: str, text: str) -> Endpoint:
    within = "" if part == text.strip() else f" in '{text}'"
    try:
        return _parsed(part)
    except ValueError as error:
        raise ConfigError(f"cannot use Zeek address '{part}'{within}: {error}; {FORMS}") from None


def _parsed(part: str) -> Endpoint:
    if not part:
        raise ValueError("it is empty")
    found = _ENDPOINT.fullmatch(part)
    if found is None:
        raise ValueError("it is no address")
    scheme = None
    if found["scheme"] is not None:
        if found["scheme"].lower() not in set(Scheme):
            raise ValueError(f"there is no scheme '{found['scheme']}'")
        scheme = Scheme(found["scheme"].lower())
    if _is_bare_ipv6(part, found):
        raise ValueError("an IPv6 address stands in brackets")
    path = found["path"] or "/"
    if path != "/" and scheme not in (Scheme.PLAIN, Scheme.TLS):
        raise ValueError("a path needs ws:// or wss:// in front")
    return Endpoint(
        _host(found["host"]), _port(found["port"]), scheme, PATH if path == "/" else path
    )


def _is_bare_ipv6(part: str, found: re.Match[str]) -> bool:
    rest = part[found.start("host") :].partition("/")[0]
    return not rest.startswith("[") and rest.count(":") > 1


def _host(text: str) -> str:
    if text.startswith("["):
        if not text.endswith("]"):
            raise ValueError("a bracket is not closed")
        inner = text[1:-1]
        try:
            return f"{ipaddress.IPv6Address(inner)}"
        except ValueError:
            raise ValueError(f"'{inner}' is no IPv6 address") from None
    if not text:
        raise ValueError("the host is missing")
    if _NUMERIC.fullmatch(text):
        try:
            return f"{ipaddress.IPv4Address(text)}"
        except ValueError:
            raise ValueError(f"'{text}' is no IPv4 address") from None
    if not _HOST.fullmatch(text):
        raise ValueError(f"'{text}' is no host name")
    return text


def _port(text: str | None) -> int:
    if text is None:
        return PORT
    digits = text[1:]
    if not (digits.isascii() and digits.isdigit()) or not 0 < int(digits[:7]) < 1 << 16:
        raise ValueError(f"'{digits}' is no port from 1 to 65535")
    return int(digits)
