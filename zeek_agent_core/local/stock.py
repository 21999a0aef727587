"""Columns of the logs that the Zeek package's own scripts write."""

from dataclasses import dataclass

from zeek_agent_core.values import Type


@dataclass(frozen=True, slots=True)
class LogColumn:
    """One column of a log, and where its values come from in a result."""

    name: str
    type: Type
    source: int
    """Position of the result's column; Zeek takes values by position, not by name."""
    part: int | None = None
    """Position within a record, where the log shows its parts as columns."""


def _in_order(**types: Type) -> tuple[LogColumn, ...]:
    return tuple(LogColumn(name, kind, i) for i, (name, kind) in enumerate(types.items()))


FILES = _in_order(
    path=Type.TEXT,
    type_=Type.TEXT,
    uid=Type.COUNT,
    gid=Type.COUNT,
    mode=Type.TEXT,
    mtime=Type.TIME,
    size=Type.COUNT,
)

PROCESSES = _in_order(
    name=Type.TEXT,
    pid=Type.COUNT,
    uid=Type.COUNT,
    gid=Type.COUNT,
    ppid=Type.COUNT,
    priority=Type.TEXT,
    startup=Type.INTERVAL,
)

SOCKETS = _in_order(
    pid=Type.COUNT,
    process=Type.TEXT,
    family=Type.TEXT,
    protocol=Type.COUNT,
    local_addr=Type.ADDRESS,
    local_port=Type.COUNT,
    remote_addr=Type.ADDRESS,
    remote_port=Type.COUNT,
    state=Type.TEXT,
)

SSH_CONFIGS = (
    *_in_order(path=Type.TEXT, number=Type.COUNT),
    # The package strips `columns.` only from fields that are no records.
    LogColumn("columns.option_.key", Type.TEXT, 2, 0),
    LogColumn("columns.option_.value", Type.TEXT, 2, 1),
)

SSH_AUTHORIZED_KEYS = _in_order(path=Type.TEXT, number=Type.COUNT, content=Type.TEXT)

SYSTEM_LOGS = _in_order(time_=Type.TIME, process=Type.TEXT, level=Type.TEXT, message=Type.TEXT)

USERS = _in_order(
    name=Type.TEXT,
    full_name=Type.TEXT,
    is_admin=Type.BOOL,
    is_system=Type.BOOL,
    uid=Type.TEXT,
    gid=Type.COUNT,
    home=Type.TEXT,
    shell=Type.TEXT,
    email=Type.TEXT,
)
