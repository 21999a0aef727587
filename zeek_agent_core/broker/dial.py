"""Opens a TCP or TLS connection, and says what is wrong when there is none."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from zeek_agent_core.broker.destination import Endpoint
from zeek_agent_core.broker.ending import FULL
from zeek_agent_core.broker.tls import Mode, TlsSettings, explain, make_context, mode_for
from zeek_agent_core.broker.transport import Lost, Reason
from zeek_agent_core.errors import ConfigError

SEND_BUFFER = 64 << 10
"""Small, so that our answers to the server's pings do not stand behind seconds of data."""
KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Options that the system has; macOS calls the first one by the second name."""
USER_TIMEOUT = 90_000
"""Milliseconds; it also fires while a stalled Zeek takes nothing, so it must be long."""
OLD_PORT = 9997

Made = TypeVar("Made", bound=asyncio.BaseProtocol)


async def dial(
    endpoint: Endpoint, settings: TlsSettings, make: Callable[[], Made], limit: float
) -> Made:
    """Connect to *endpoint* within *limit* seconds for TCP, and as much for TLS; raise `Lost`."""
    mode = mode_for(endpoint, settings)
    try:
        context = make_context(mode, settings)
    except ConfigError as error:
        raise Lost(Reason.MISCONFIGURED, str(error)) from error
    sock = await _connect(endpoint, limit)
    loop = asyncio.get_running_loop()
    try:
        if context is None:
            _, protocol = await loop.create_connection(make, sock=sock)
        else:
            _, protocol = await loop.create_connection(
                make,
                sock=sock,
                ssl=context,
                server_hostname=endpoint.host.partition("%")[0],
                ssl_handshake_timeout=limit,
                ssl_shutdown_timeout=1.0,
            )
    except OSError as error:
        sock.close()
        raise _handshake_failed(error, mode) from error
    except BaseException:
        sock.close()
        raise
    return protocol


def _handshake_failed(error: OSError, mode: Mode) -> Lost:
    if isinstance(error, ssl.SSLError):
        return Lost(Reason.MISCONFIGURED, explain(error, mode))
    other = "verify" if mode is Mode.ANONYMOUS else "anonymous"
    hint = f'this is zeek.tls = "{mode}", others need "{other}", or "off" for plain text'
    if isinstance(error, ConnectionResetError):
        return Lost(Reason.FULL, f"{FULL}; {hint}")
    return Lost(Reason.SILENT, f"no TLS handshake: the server is busy, or speaks no TLS; {hint}")


async def _connect(endpoint: Endpoint, limit: float) -> socket.socket:
    """Return a connected socket, to the first of the endpoint's addresses that answers."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(limit):
            found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise Lost(Reason.SILENT, f"no answer to what address {endpoint.host} has") from None
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Lost(Reason.REFUSED, f"cannot find {endpoint.host}: {reason}") from error
    reasons: dict[str, None] = {}
    for family, kind, protocol, _, address in found:
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            _set_options(sock)
            async with asyncio.timeout(limit / min(len(found), 4)):
                await loop.sock_connect(sock, address)
        except (OSError, TimeoutError) as error:
            if sock is not None:
                sock.close()
            reasons[_reason(error, endpoint)] = None
        except BaseException:
            if sock is not None:
                sock.close()
            raise
        else:
            return sock
    raise Lost(Reason.REFUSED, "; ".join(reasons) or f"{endpoint.host} has no address")


def _reason(error: OSError, endpoint: Endpoint) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if error.errno == errno.ECONNREFUSED and endpoint.port != OLD_PORT:
        return f"connection refused (Zeek up to 8.0 usually listens on port {OLD_PORT})"
    return (error.strerror or str(error)).lower()


def _set_options(sock: socket.socket) -> None:
    sock.settimeout(0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in (*KEEP_ALIVE.items(), ("TCP_USER_TIMEOUT", USER_TIMEOUT)):
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
