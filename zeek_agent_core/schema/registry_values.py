"""Declaration of ``registry_values``."""

from zeek_agent_core.api import EQ, PREFIX, Column, Snapshot, Type


class RegistryValues(Snapshot):
    r"""Values of the Windows registry keys whose path matches a pattern, one row per value.

    Patterns are those of `registry_keys`. Text comes as it is, without replacing variables
    of the environment; numbers as decimal text; several texts as JSON array; all else in
    hexadecimal. Data of more than 64 KiB (`max_value_bytes` in `[tables.registry]`) is cut,
    which is counted as a warning.
    """

    name = "registry_values"
    columns = (
        Column("_pattern", Type.TEXT, "pattern of the keys whose values are read"),
        Column("path", Type.TEXT, "full path of the key, its root in full", pushdown=EQ | PREFIX),
        Column("name", Type.TEXT, "name of the value; empty for the key's default", pushdown=EQ),
        Column("type", Type.TEXT, "`REG_SZ`, `REG_DWORD`, ...", pushdown=EQ),
        Column("data", Type.TEXT, "the data as text"),
        Column("mtime", Type.TIME, "when the key or one of its values was last changed"),
    )
    platforms = ("windows",)
    examples = (
        r"SELECT path, name, data FROM registry_values('HKLM\SOFTWARE\Microsoft\*\Run*')",
        r"SELECT path, data FROM registry_values('HKLM\SYSTEM\*\Services\*') WHERE name = 'Start'",
    )
