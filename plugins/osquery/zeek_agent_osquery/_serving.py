"""Osquery's extension service, by the published package: registers, and answers osquery."""

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from osquery.extension_client import ExtensionClient
from osquery.extensions.Extension import Iface, Processor
from osquery.extensions.ttypes import (
    ExtensionResponse,
    ExtensionStatus,
    InternalExtensionInfo,
)
from thrift.protocol.TBinaryProtocol import TBinaryProtocolFactory
from thrift.server.TServer import TThreadedServer
from thrift.Thrift import TException
from thrift.transport.TSocket import TServerSocket
from thrift.transport.TTransport import TBufferedTransportFactory

from zeek_agent_osquery._errors import OsqueryError
from zeek_agent_osquery._offer import Offered

log = logging.getLogger(__name__)

NAME = "zeek_agent"
SDK, LEAST_SDK = "5.0.0", "1.8.0"
VERSION = "3.0"

logging.getLogger("thrift").addHandler(logging.NullHandler())

Answer = Callable[[Offered, str], list[dict[str, str]]]
"""Given a table and what osquery wants of it, the rows; raises for whatever goes wrong."""


class Handler(Iface):  # type: ignore[misc]
    """What osquery may call."""

    def __init__(
        self, tables: Mapping[str, Offered], answer: Answer, end: Callable[[], object]
    ) -> None:
        """Serve *tables* with what *answer* returns; *end* is called when osquery says so."""
        self.tables = tables
        self._answer = answer
        self._end = end

    def ping(self) -> Any:
        """Say that all is well."""
        return ExtensionStatus(code=0, message="OK")

    def shutdown(self) -> None:
        """End."""
        self._end()

    def call(self, registry: str, item: str, request: Mapping[str, str]) -> Any:
        """Answer a request about a table."""
        table = self.tables.get(item)
        if registry != "table" or table is None:
            return refused(f"there is no {registry} {item} here")
        action = request.get("action")
        if action == "columns":
            return done(table.routes)
        if action != "generate":
            return refused(f"a table has no action {action}")
        try:
            return done(self._answer(table, request.get("context", "")))
        except Exception as error:
            return refused(str(error) or type(error).__name__)


def done(rows: list[dict[str, str]]) -> Any:
    """Return a response with *rows*."""
    return ExtensionResponse(status=ExtensionStatus(code=0, message="OK"), response=rows)


def refused(message: str) -> Any:
    """Return a response that says why there are no rows."""
    return ExtensionResponse(status=ExtensionStatus(code=1, message=message), response=[])


def register(path: str, seconds: float, handler: Handler) -> int:
    """Tell osquery of the tables; return the number under which it knows us."""
    client = _client(path, seconds)
    try:
        info = InternalExtensionInfo(NAME, VERSION, SDK, LEAST_SDK)
        routes = {name: table.routes for name, table in handler.tables.items()}
        status = client.extension_manager_client().registerExtension(info, {"table": routes})
    except (TException, OSError) as error:
        raise OsqueryError(f"cannot register with osquery at {path}: {error}") from error
    finally:
        client.close()
    if status.code != 0:
        raise OsqueryError(f"osquery at {path} does not take the tables: {status.message}")
    return int(status.uuid)


def deregister(path: str, seconds: float, uuid: int) -> None:
    """Tell osquery that the tables are gone; an osquery that is gone itself need not know."""
    try:
        client = _client(path, seconds)
        try:
            client.extension_manager_client().deregisterExtension(uuid)
        finally:
            client.close()
    except (OsqueryError, TException, OSError) as error:
        log.debug("osquery was not told of the end: %s", error)


def _client(path: str, seconds: float) -> Any:
    client = ExtensionClient(path)
    inner = client._transport._TBufferedTransport__trans  # noqa: SLF001 - it has no deadline else
    if hasattr(inner, "setTimeout"):
        inner.setTimeout(seconds * 1000)
    if not client.open(seconds):
        raise OsqueryError(f"osquery does not answer at {path}")
    return client


class Server(TThreadedServer):  # type: ignore[misc]
    """Serves at a socket until it is closed; a thread for each connection."""

    def __init__(self, path: str, processor: Any) -> None:
        """Open *path*; whoever connects is served once `serve` runs."""
        transports, protocols = TBufferedTransportFactory(), TBinaryProtocolFactory()
        super().__init__(processor, _listener(path), transports, protocols, daemon=True)
        self._is_closed = False
        self.serverTransport.listen()

    def serve(self) -> None:
        """Serve until closed."""
        while not self._is_closed:
            try:
                client = self.serverTransport.accept()
            except Exception as error:
                if not self._is_closed:
                    log.error("no more requests of osquery: %s", error)  # noqa: TRY400
                return
            threading.Thread(target=self.handle, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Serve nobody any more."""
        self._is_closed = True
        self.serverTransport.close()


def serving(path: str, handler: Handler) -> Server:
    """Return a server that is open at *path*, for an extension."""
    return Server(path, Processor(handler))


if sys.platform == "win32":
    from osquery.TPipe import TPipeServer

    def _listener(path: str) -> Any:
        return TPipeServer(pipe_name=path)
else:

    class Listener(TServerSocket):  # type: ignore[misc]
        """A Unix socket that only its owner, and root, can write to."""

        def listen(self) -> None:
            """Open it; no moment passes in which others could connect."""
            made = socket.socket(socket.AF_UNIX)
            before = os.umask(0o177)
            try:
                made.bind(self._unix_socket)
                made.listen()
            except BaseException:
                made.close()
                raise
            finally:
                os.umask(before)
            self.handle = made

        def close(self) -> None:
            """Close and remove it; who waits in `accept` gets an error."""
            with suppress(OSError):
                self.handle.shutdown(socket.SHUT_RDWR)
            self.handle.close()
            Path(self._unix_socket).unlink(missing_ok=True)

    def _listener(path: str) -> Any:
        return Listener(unix_socket=path)
