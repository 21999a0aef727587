"""Declaration of ``mounts``."""

from zeek_agent_core.api import Column, Snapshot, Type


class Mounts(Snapshot):
    """Mounted file systems, one row per mount, as the agent's process sees them."""

    name = "mounts"
    columns = (
        Column("device", Type.TEXT, "device, share or other source"),
        Column("path", Type.TEXT, "where it is mounted"),
        Column("type", Type.TEXT, "type of the file system, for example `ext4`"),
        Column("options", Type.SET, "options of mount and file system", element=Type.TEXT),
        Column("is_read_only", Type.BOOL, "whether writing is impossible through this mount"),
        Column("root", Type.TEXT, "directory of the file system that is mounted, mostly `/`"),
    )
    examples = (
        "SELECT path, device, type FROM mounts",
        "SELECT path FROM mounts WHERE is_read_only",
    )
