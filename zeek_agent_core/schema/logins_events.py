"""Declaration of ``logins_events``, which every pack fills."""

from types import MappingProxyType

from zeek_agent_core.api import EQ, Column, Sourced, Type


class LoginsEvents(Sourced):
    """Who logs in from where, who fails to, who leaves, and when the system starts and stops.

    On Linux this is what `login`, `sshd` and others write to `wtmp`, and to
    `btmp` for attempts that failed (for root only). Where there is no `wtmp`,
    as on systems that have given up its format, the messages of `sshd`,
    `systemd-logind` and `login` in the journal say it, and more: how the user
    proved who it is. As with `system_logs_events` the place is kept, and what
    happened while the agent did not run comes when it is back.

    Settings of `[tables.logins_events]`: `catch_up`, seconds to look back at
    most after a pause; `directory` has the files of another journal to read;
    `initial = true` begins with a row of the action `present` for each session
    there is. With `source` just one of `wtmp` and `journal` is used.
    """

    name = "logins_events"
    columns = (
        Column("time", Type.TIME, "when it happened"),
        Column(
            "action",
            Type.TEXT,
            "`login`, `logout`, `failed`, `boot`, `shutdown`; `present` if asked for in the "
            "settings",
            pushdown=EQ,
        ),
        Column("user", Type.TEXT, "name of the user, as it was given", pushdown=EQ),
        Column("uid", Type.COUNT, "user ID, if the host has such a user"),
        Column("address", Type.ADDRESS, "where the user came from; NULL for this host itself"),
        Column("port", Type.COUNT, "port that the user came from"),
        Column("host", Type.TEXT, "the same as a name, where it is told; an X display"),
        Column("terminal", Type.TEXT, "terminal: `pts/0`, `tty1`, `ssh:notty`"),
        Column("pid", Type.COUNT, "process that let the user in"),
        Column("service", Type.TEXT, "what let the user in: `sshd`, `login`, logon process"),
        Column("method", Type.TEXT, "how the user proved it: `password`, `publickey`, logon type"),
        Column("session", Type.TEXT, "ID of the session, where there is one"),
        Column("duration", Type.INTERVAL, "for `logout`: how long the session lasted"),
    )
    settings = MappingProxyType({**Sourced.settings, "directory": "", "catch_up": 86400.0})
    examples = (
        "SELECT time, user, address FROM logins_events WHERE action = 'login'",
        "SELECT address, count(*) FROM logins_events WHERE action = 'failed' GROUP BY address",
        "SELECT time, action FROM logins_events WHERE action IN ('boot', 'shutdown')",
    )
