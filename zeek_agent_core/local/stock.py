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
    element: Type | None = None
    """Type of the elements of a set."""


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

PROCESSES_EVENTS = _in_order(
    time_=Type.TIME,
    name=Type.TEXT,
    pid=Type.COUNT,
    ppid=Type.COUNT,
    uid=Type.COUNT,
    gid=Type.COUNT,
    ruid=Type.COUNT,
    rgid=Type.COUNT,
    priority=Type.TEXT,
    duration=Type.INTERVAL,
    state=Type.TEXT,
    exe=Type.TEXT,
    cmdline=Type.TEXT,
    cwd=Type.TEXT,
    startup=Type.INTERVAL,
    exit_code=Type.COUNT,
    exit_signal=Type.COUNT,
    auid=Type.COUNT,
    container=Type.TEXT,
)

SOCKETS_EVENTS = _in_order(
    time_=Type.TIME,
    pid=Type.COUNT,
    process=Type.TEXT,
    uid=Type.COUNT,
    gid=Type.COUNT,
    family=Type.TEXT,
    protocol=Type.COUNT,
    local_addr=Type.ADDRESS,
    local_port=Type.COUNT,
    remote_addr=Type.ADDRESS,
    remote_port=Type.COUNT,
    state=Type.TEXT,
    direction=Type.TEXT,
    duration=Type.INTERVAL,
    sent=Type.COUNT,
    received=Type.COUNT,
    error=Type.COUNT,
    seuid=Type.TEXT,
)

SERVICES = _in_order(
    name=Type.TEXT,
    description=Type.TEXT,
    is_running=Type.BOOL,
    is_enabled=Type.BOOL,
    path=Type.TEXT,
    pid=Type.COUNT,
    active_state=Type.TEXT,
    sub_state=Type.TEXT,
)

INTERFACES = (
    *_in_order(name=Type.TEXT, mac=Type.TEXT, mtu=Type.COUNT),
    LogColumn("is_up", Type.BOOL, 3),
    LogColumn("is_loopback", Type.BOOL, 4),
    LogColumn("addresses", Type.SET, 5, element=Type.ADDRESS),
)

MOUNTS = (
    *_in_order(device=Type.TEXT, path=Type.TEXT, type_=Type.TEXT),
    LogColumn("options", Type.SET, 3, element=Type.TEXT),
    LogColumn("is_read_only", Type.BOOL, 4),
)

LISTENING_PORTS = _in_order(
    local_addr=Type.ADDRESS,
    local_port=Type.COUNT,
    protocol=Type.COUNT,
    pid=Type.COUNT,
    process=Type.TEXT,
    exe=Type.TEXT,
    uid=Type.COUNT,
    user=Type.TEXT,
)

FILE_EVENTS = _in_order(
    time_=Type.TIME,
    action=Type.TEXT,
    path=Type.TEXT,
    old_path=Type.TEXT,
    is_directory=Type.BOOL,
    pid=Type.COUNT,
    process=Type.TEXT,
    exe=Type.TEXT,
    uid=Type.COUNT,
    number=Type.COUNT,
)
