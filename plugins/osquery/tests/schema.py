"""Columns of some tables of osquery's, as its schema has them: name, type, option."""

LISTENING_PORTS = [
    ["pid", "INTEGER", 0], ["port", "INTEGER", 0], ["protocol", "INTEGER", 0],
    ["family", "INTEGER", 0], ["address", "TEXT", 0], ["fd", "BIGINT", 0],
    ["socket", "BIGINT", 0], ["path", "TEXT", 0], ["net_namespace", "TEXT", 0],
]  # fmt: skip
PROCESSES = [
    ["pid", "BIGINT", 1], ["name", "TEXT", 0], ["path", "TEXT", 0], ["cmdline", "TEXT", 0],
    ["uid", "BIGINT", 0], ["gid", "BIGINT", 0], ["parent", "BIGINT", 0],
]  # fmt: skip
USERS = [
    ["uid", "BIGINT", 1], ["gid", "BIGINT", 0], ["uid_signed", "BIGINT", 0],
    ["gid_signed", "BIGINT", 0], ["username", "TEXT", 4], ["description", "TEXT", 0],
    ["directory", "TEXT", 0], ["shell", "TEXT", 0], ["uuid", "TEXT", 1],
]  # fmt: skip
INTERFACE_ADDRESSES = [
    ["interface", "TEXT", 0], ["address", "TEXT", 0], ["mask", "TEXT", 0],
    ["broadcast", "TEXT", 0], ["point_to_point", "TEXT", 0], ["type", "TEXT", 0],
]  # fmt: skip
INTERFACE_DETAILS = [
    ["interface", "TEXT", 0], ["mac", "TEXT", 0], ["type", "INTEGER", 0], ["mtu", "INTEGER", 0],
]  # fmt: skip
MOUNTS = [
    ["device", "TEXT", 0], ["device_alias", "TEXT", 0], ["path", "TEXT", 0], ["type", "TEXT", 0],
    ["blocks_size", "BIGINT", 0], ["blocks", "BIGINT", 0], ["blocks_free", "BIGINT", 0],
    ["flags", "TEXT", 0],
]  # fmt: skip
PROCESS_EVENTS = [
    ["pid", "BIGINT", 0], ["path", "TEXT", 0], ["cmdline", "TEXT", 0], ["cwd", "TEXT", 0],
    ["auid", "BIGINT", 0], ["uid", "BIGINT", 0], ["gid", "BIGINT", 0], ["parent", "BIGINT", 0],
    ["time", "BIGINT", 4], ["eid", "TEXT", 16],
]  # fmt: skip
SOCKET_EVENTS = [
    ["action", "TEXT", 0], ["pid", "BIGINT", 0], ["path", "TEXT", 0], ["fd", "TEXT", 0],
    ["family", "INTEGER", 0], ["protocol", "INTEGER", 0], ["local_address", "TEXT", 0],
    ["remote_address", "TEXT", 0], ["local_port", "INTEGER", 0], ["remote_port", "INTEGER", 0],
    ["time", "BIGINT", 4], ["eid", "TEXT", 16], ["success", "INTEGER", 16],
]  # fmt: skip
HASH = [
    ["path", "TEXT", 3], ["directory", "TEXT", 2], ["md5", "TEXT", 0], ["sha1", "TEXT", 0],
    ["sha256", "TEXT", 0],
]  # fmt: skip

TABLES = {
    "listening_ports": LISTENING_PORTS,
    "processes": PROCESSES,
    "users": USERS,
    "interface_addresses": INTERFACE_ADDRESSES,
    "interface_details": INTERFACE_DETAILS,
    "mounts": MOUNTS,
    "process_events": PROCESS_EVENTS,
    "socket_events": SOCKET_EVENTS,
    "hash": HASH,
}
