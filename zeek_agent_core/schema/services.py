"""Declaration of ``services``."""

from zeek_agent_core.api import Column, Snapshot, Type


class Services(Snapshot):
    """Services that the host's service manager knows, one row per service.

    Services that do not run are included. On Linux these are the `.service` units of
    systemd, without templates and aliases, on macOS the launch daemons, on Windows what
    the service control manager has. The columns `load_state` to `unit_file_state` are in
    the words of systemd, or of Windows.
    """

    name = "services"
    columns = (
        Column("name", Type.TEXT, "name of the service, for example `ssh.service`"),
        Column("description", Type.TEXT, "what it is, for people; NULL while it is not loaded"),
        Column("is_running", Type.BOOL, "whether it runs right now"),
        Column(
            "is_enabled",
            Type.BOOL,
            "whether it starts by itself; NULL where others decide, as for `static` units",
        ),
        Column("path", Type.TEXT, "file that defines the service"),
        Column("pid", Type.COUNT, "main process, if it has one"),
        Column("load_state", Type.TEXT, "`loaded`, `not-found`, `masked`, ...; NULL: not loaded"),
        Column("active_state", Type.TEXT, "`active`, `inactive`, `failed`, ..."),
        Column("sub_state", Type.TEXT, "state in detail: `running`, `exited`, `dead`, ..."),
        Column("unit_file_state", Type.TEXT, "`enabled`, `disabled`, `static`, `masked`, ..."),
    )
    examples = (
        "SELECT name, pid FROM services WHERE is_running",
        "SELECT name, path FROM services WHERE is_enabled AND NOT is_running",
    )
