"""Every exception of the agent.

::

    AgentError
    ├── ConfigError             a setting is wrong: what, where, what to write instead
    ├── PluginError             a plugin cannot be offered as it is
    ├── OutputError             a log or state file cannot be written
    ├── ServiceError            the system's service manager does not do what it was asked
    ├── ZeekError               a value or message cannot pass between Zeek and the agent
    │   ├── DecodeError         a frame of Zeek's cannot be understood
    │   └── MessageError        an event of Zeek's is not as it should be; it is told so
    ├── RemoteError             a running agent cannot be asked, or a console not be served
    │   ├── ConnectionLostError the agent went away while it was asked
    │   └── ProtocolError       what came through a console socket makes no sense
    └── QueryError              one SQL statement failed; nothing else is affected
        ├── StatementError      it does not compile, or names what does not exist
        ├── ForbiddenError      it would do more than read tables
        ├── ParameterError      a table parameter is missing or of the wrong type
        ├── TableError          a table failed while it made its rows
        ├── WaitingError        a table waits for somebody else; no asker sees it
        ├── LimitError          it needs more time, rows or memory than allowed
        └── StoppedError        it was cancelled, or the database closed under it
"""

from collections.abc import Callable


class AgentError(Exception):
    """Base of all errors the agent raises on purpose."""


class ConfigError(AgentError):
    """A configuration file or command line cannot be used."""


class PluginError(AgentError):
    """A plugin or table breaks the rules that let it be offered."""


class OutputError(AgentError):
    """A log, history or state file cannot be written."""


class ServiceError(AgentError):
    """The agent cannot be made, started, stopped or looked up as a service of the system."""


class ZeekError(AgentError):
    """A value or message cannot pass between Zeek and the agent."""


class DecodeError(ZeekError):
    """A frame that Zeek sent cannot be understood; the connection goes on."""


class MessageError(ZeekError):
    """An event of Zeek's has the wrong shape; the message can be told to its sender."""

    def __init__(
        self, reason: str, instance: str | None = None, query_id: str | None = None
    ) -> None:
        """Say *reason*; who sent it, and about which query, as far as they are known."""
        super().__init__(reason)
        self.instance = instance
        self.query_id = query_id


class RemoteError(AgentError):
    """A running agent cannot be reached, or a socket for consoles not be opened."""


class ConnectionLostError(RemoteError):
    """The agent went away; nothing that was asked of it will be answered."""


class ProtocolError(RemoteError):
    """What came through a console socket is not what it should be."""


class QueryError(AgentError):
    """One SQL statement failed; the message says why."""


class StatementError(QueryError):
    """The statement does not compile, or names something that does not exist."""


class ForbiddenError(QueryError):
    """The statement would do more than read the agent's tables."""


class ParameterError(QueryError):
    """A table parameter is missing, or its argument has the wrong type."""


class TableError(QueryError):
    """A table failed while it produced its rows."""

    def __init__(self, table: str, reason: str) -> None:
        """Say that *table* failed for *reason*."""
        super().__init__(f"table {table}: {reason}")
        self.table = table
        self.reason = reason


class WaitingError(QueryError):
    """A table waits for somebody else: the statement begins anew when the wait is over."""

    def __init__(self, wait: Callable[[float], bool]) -> None:
        """Call *wait* with seconds, in some thread, until it returns that the wait is over."""
        super().__init__("a table waits for somebody else")
        self.wait = wait


class LimitError(QueryError):
    """The statement went past one of the bounds set for a query."""


class StoppedError(QueryError):
    """The statement was cancelled before it ended."""
