"""The public names: all that a plugin imports, here or from `zeek_agent_core.schema`."""

from zeek_agent_core.columnar import Chunk, ColumnRows, column_chunk
from zeek_agent_core.errors import ConfigError, ParameterError, TableError, WaitingError
from zeek_agent_core.hookspecs import hookimpl
from zeek_agent_core.host import Host
from zeek_agent_core.identity import write_private
from zeek_agent_core.sources import Marked, Source, Sourced
from zeek_agent_core.table import (
    EQ,
    NONE,
    PAUSE,
    PREFIX,
    RANGE,
    Column,
    Discovery,
    Evented,
    Offer,
    Origin,
    Pattern,
    Prefix,
    Pushdown,
    Snapshot,
    Table,
    Where,
)
from zeek_agent_core.values import Port, Row, Type, storable, text

__all__ = [
    "EQ",
    "NONE",
    "PAUSE",
    "PREFIX",
    "RANGE",
    "Chunk",
    "Column",
    "ColumnRows",
    "ConfigError",
    "Discovery",
    "Evented",
    "Host",
    "Marked",
    "Offer",
    "Origin",
    "ParameterError",
    "Pattern",
    "Port",
    "Prefix",
    "Pushdown",
    "Row",
    "Snapshot",
    "Source",
    "Sourced",
    "Table",
    "TableError",
    "Type",
    "WaitingError",
    "Where",
    "column_chunk",
    "hookimpl",
    "storable",
    "text",
    "write_private",
]
