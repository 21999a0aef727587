"""Declaration of ``system_logs_events``, which every pack fills."""

from types import MappingProxyType

from zeek_agent_core.api import EQ, RANGE, Column, Sourced, Type


class SystemLogsEvents(Sourced):
    """Messages that arrive in the log of the operating system.

    On Linux this is systemd's journal, read by its own library or else by
    `journalctl`; without a journal it is the kernel's log and the files of
    syslog. The place up to which all queries have read is kept in the state
    directory: what was logged while the agent did not run comes when it is
    back, if that is not longer ago than `catch_up` seconds (a day by default).

    Settings of `[tables.system_logs_events]`: `fields` names more fields of the
    journal to put into the column `fields`, for example `["_CMDLINE"]`, or
    `["*"]` for all; `directory` has the files of another journal to read; `files`
    are those of syslog, by default `syslog` or else `messages`, `auth.log`,
    `secure`, `maillog` and `cron` in `/var/log`; `initial = true` begins with the
    ten newest messages of the journal where no place is known. With `source` just
    one of `journal`, `journalctl` and `syslog` is used.
    """

    name = "system_logs_events"
    columns = (
        Column("time", Type.TIME, "when the log took the message"),
        Column(
            "process",
            Type.TEXT,
            "who wrote it: path of the program if it is known (Linux), else its name",
        ),
        Column(
            "level",
            Type.TEXT,
            "severity in the words or numbers of the platform; on Linux `0` (emergency) to `7` "
            "(debug), NULL if the message came without",
            pushdown=EQ | RANGE,
        ),
        Column(
            "message",
            Type.TEXT,
            r"the text, at most 64 KiB; bytes that are not UTF-8 are shown as `\xNN`",
        ),
        Column("eventid", Type.TEXT, "channel and record number (Windows)"),
        Column(
            "identifier",
            Type.TEXT,
            "name that the writer gave itself: syslog's tag, subsystem (macOS), provider (Windows)",
            pushdown=EQ,
        ),
        Column("pid", Type.COUNT, "process that wrote it"),
        Column("uid", Type.COUNT, "user ID of that process"),
        Column("unit", Type.TEXT, "service that it belongs to (systemd unit)", pushdown=EQ),
        Column("facility", Type.TEXT, "kind of message: category (macOS), channel (Windows)"),
        Column(
            "fields",
            Type.TEXT,
            "further fields that the settings ask for, as JSON object: text, or a list of texts "
            "where a field was given more than once",
        ),
    )
    settings = MappingProxyType(
        {
            **Sourced.settings,
            "fields": (),
            "directory": "",
            "files": (
                "/var/log/syslog",
                "/var/log/messages",
                "/var/log/auth.log",
                "/var/log/secure",
                "/var/log/maillog",
                "/var/log/cron",
            ),
            "catch_up": 86400.0,
        }
    )
    examples = (
        "SELECT time, process, message FROM system_logs_events",
        "SELECT time, identifier, message FROM system_logs_events WHERE level <= '3'",
        "SELECT time, message FROM system_logs_events WHERE unit = 'ssh.service'",
    )
