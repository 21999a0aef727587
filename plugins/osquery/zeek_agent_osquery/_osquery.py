"""The osquery of this host, as all parts of the pack share it: connections, and how it fares."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import time_ns
from typing import Any, ClassVar, TypeVar
from weakref import WeakKeyDictionary

from zeek_agent_core.api import Host
from zeek_agent_osquery import _binary, _transport
from zeek_agent_osquery._binary import Response, Shape
from zeek_agent_osquery._connection import Connection, Read
from zeek_agent_osquery._errors import LateError, LostError, OsqueryError, RefusedError
from zeek_agent_osquery._settings import settings

SLICE = 0.1
"""Seconds after which who waits for an answer looks whether it is still wanted."""
MOST_IDLE = 4
"""Connections that are kept open."""

T = TypeVar("T")


@dataclass(slots=True)
class Facts:
    """What is known of osquery, and how asking it went."""

    is_reachable: bool = False
    trouble: str | None = None
    """Why it cannot be asked right now."""
    version: str | None = None
    uuid: str | None = None
    instance: str | None = None
    """Changes when osquery starts anew."""
    since: int | None = None
    """When it became reachable, in microseconds since the epoch."""
    tables: int = 0
    """How many of its tables are offered, aliases not counted."""
    calls: int = 0
    errors: int = 0
    last_error: str | None = None
    rows: int = 0
    names: set[str] = field(default_factory=set)
    """Names under which its tables were ever offered."""


class Osquery:
    """Asks osquery, from any thread; each question has a connection of its own."""

    _shared: ClassVar[WeakKeyDictionary[Host, "Osquery"]] = WeakKeyDictionary()

    def __init__(self, host: Host) -> None:
        """Ask the osquery that the settings of *host* name."""
        self._settings = settings(host)
        self.path: str = self._settings["extensions_socket"]
        self.timeout: float = self._settings["timeout"]
        self.facts = Facts()
        self.alarm: Callable[[], None] = lambda: None
        """Called, from any thread, when something went wrong."""
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    @classmethod
    def of(cls, host: Host) -> "Osquery":
        """Return the one that all tables of *host* share."""
        if host not in cls._shared:
            cls._shared[host] = cls(host)
        return cls._shared[host]

    def setting(self, key: str) -> Any:
        """Return the value of *key*, as configured or by default."""
        return self._settings[key]

    # Asking.

    def query(self, sql: str, shape: Shape = _binary.as_text) -> Iterator[Response | None]:
        """Run *sql* in osquery: yield None while the answer is waited for, then the answer.

        Raises `OsqueryError`; also where osquery says that the statement failed.
        """
        yield from self.ask("query", (_binary.text_field(1, sql),), shape)

    def columns_of(self, sql: str) -> Iterator[Response | None]:
        """Find out the columns of *sql*, in their order, each as a map of name to type."""
        yield from self.ask("getQueryColumns", (_binary.text_field(1, sql),), _binary.as_text)

    def ask(
        self, method: str, fields: tuple[bytes, ...], shape: Shape
    ) -> Iterator[Response | None]:
        """Call a *method* that returns rows."""
        if self.facts.trouble is not None:
            raise LostError(self.facts.trouble)
        read = _binary.response(shape, self._settings["max_rows"])
        try:
            yield from self._attempts(method, fields, read)
        except OsqueryError as error:
            self._note(error)
            raise

    def _attempts(
        self, method: str, fields: tuple[bytes, ...], read: Read[Response]
    ) -> Iterator[Response | None]:
        """Call, and call again where a connection from the pool turns out to be dead."""
        while True:
            was_used = False
            try:
                with self._lease() as connection:
                    was_used = connection.calls > 0
                    call = connection.begin(method, fields, read, self.timeout)
                    while not call.step(SLICE):
                        yield None
            except LostError:
                if was_used:
                    continue
                raise
            self.facts.rows += len(call.result.rows)
            yield checked(call.result)
            return

    def call(
        self, method: str, fields: tuple[bytes, ...], read: Read[T], connection: Connection
    ) -> T:
        """Call a *method* on a given connection, and wait."""
        self.facts.calls += 1
        return connection.begin(method, fields, read, self.timeout).finish()

    def _note(self, error: OsqueryError) -> None:
        """Keep what went wrong; where osquery may be gone, ask nothing more before it is back."""
        self.facts.errors += 1
        self.facts.last_error = str(error)
        if isinstance(error, LostError | LateError):
            self.facts.trouble = str(error)
        self.alarm()

    # Connections.

    @contextmanager
    def _lease(self) -> Iterator[Connection]:
        """Have a connection of the pool; one with which something went wrong is not used again."""
        self.facts.calls += 1
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        is_sound = False
        try:
            yield connection
            is_sound = True
        except RefusedError:
            is_sound = True
            raise
        finally:
            with self._lock:
                is_sound = is_sound and not self._is_closed and len(self._idle) < MOST_IDLE
                if is_sound:
                    self._idle.append(connection)
            if not is_sound:
                self._let_go(connection)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Have a connection of one's own."""
        connection = self._connect()
        try:
            yield connection
        finally:
            self._let_go(connection)

    def _connect(self) -> Connection:
        if self._is_closed:
            raise LostError("the agent is ending")
        transport = _transport.connect(self.path, self.timeout)
        connection = Connection(transport, self._settings["max_reply"] << 20)
        with self._lock:
            self._open.add(connection)
        return connection

    def _let_go(self, connection: Connection) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def open(self) -> None:
        """Allow connections, again."""
        self._is_closed = False

    def drop_idle(self) -> None:
        """End the connections that nobody uses: they lead to an osquery that is gone."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            self._let_go(connection)

    def close(self) -> None:
        """End all connections, also those in use; their users get a `LostError`."""
        self._is_closed = True
        self.drop_idle()
        with self._lock:
            others = list(self._open)
        for connection in others:
            connection.close()

    # How it fares.

    def found(self, version: str, uuid: str, instance: str) -> None:
        """Note that osquery answers."""
        facts = self.facts
        if not facts.is_reachable or facts.instance != instance:
            facts.since = time_ns() // 1000
        facts.is_reachable, facts.trouble = True, None
        facts.version, facts.uuid, facts.instance = version or None, uuid or None, instance

    def gone(self, trouble: str) -> None:
        """Note that osquery does not answer."""
        facts = self.facts
        facts.is_reachable, facts.trouble, facts.since = False, trouble, None
        facts.tables = 0
        self.drop_idle()


def checked(response: Response) -> Response:
    """Return *response*; raise `RefusedError` if its status says that it is none."""
    if response.status.code != 0:
        message = response.status.message or f"code {response.status.code}, without a reason"
        raise RefusedError(f"osquery says: {message}")
    return response
