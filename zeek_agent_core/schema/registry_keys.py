"""Declaration of ``registry_keys``."""

from zeek_agent_core.api import EQ, PREFIX, Column, Snapshot, Type


class RegistryKeys(Snapshot):
    r"""Keys of the Windows registry whose path matches a pattern, one row per key.

    A pattern begins with a root, such as `HKEY_LOCAL_MACHINE` or `HKLM`, and goes on with
    names; `*`, `?`, `[abc]` and `[!abc]` match within one name, whatever the case. Rows
    come sorted. Keys that must not be read are counted as warnings; more than 100,000
    matches (`max_matches` in `[tables.registry]`) are an error.
    """

    name = "registry_keys"
    columns = (
        Column("_pattern", Type.TEXT, "pattern of the keys to list"),
        Column("path", Type.TEXT, "full path of the key, its root in full", pushdown=EQ | PREFIX),
        Column("mtime", Type.TIME, "when the key or one of its values was last changed"),
        Column("subkeys", Type.COUNT, "number of keys below"),
        Column("entries", Type.COUNT, "number of values"),
    )
    platforms = ("windows",)
    examples = (
        r"SELECT path, iso(mtime) FROM registry_keys('HKLM\SOFTWARE\Microsoft\*')",
        r"SELECT path FROM registry_keys('HKLM\SYSTEM\CurrentControlSet\Services\*') LIMIT 5",
    )
