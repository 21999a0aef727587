"""Every key of the configuration: its kind, where its value goes, what may be wrong with it."""

import difflib
import math
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from zeek_agent_core.errors import ConfigError

LEVELS = {
    "trace": "trace", "debug": "debug", "info": "info", "warning": "warning", "warn": "warning",
    "error": "error", "err": "error", "critical": "critical", "off": "off",
}  # fmt: skip
LOG_TYPES = ("stdout", "stderr", "file", "system", "journal")
LOG_FORMATS = ("text", "json")
OUTPUTS = ("pretty", "json", "zeek")
MEBI = 1 << 20


class Setting(NamedTuple):
    """One key of the configuration file."""

    section: str
    key: str
    kind: str
    """`text`, `texts` (one or a list), `flag`, `seconds`, `count`, `mebibytes`, or choices."""
    target: str
    description: str


SETTINGS = (
    Setting("", "agent-id", "text", "agent_id", "overrides the id of the agent"),
    Setting("", "state-dir", "text", "state_dir", "directory for what outlives a restart"),
    Setting("", "run-dir", "text", "run_dir", "directory for sockets"),
    Setting("", "socket", "text", "socket", "socket that consoles connect to"),
    Setting("log", "level", "|".join(LEVELS), "log.level", "least level that is logged"),
    Setting("log", "type", "|".join(LOG_TYPES), "log.type", "where the log goes; `system` is the "
            "platform's own log: syslog, the unified log, the Event Log. A service logs to the "
            "log of its manager, everything else to `stdout`"),
    Setting("log", "path", "text", "log.path", "file for type `file`"),
    Setting("log", "format", "|".join(LOG_FORMATS), "log.format", "form of a line: `text` for "
            "people, `json` for programs"),
    Setting("zeek", "destination", "texts", "zeek.destination", "Zeek to join, `host[:port]`; "
            "several make several connections"),
    Setting("zeek", "groups", "texts", "zeek.groups", "groups besides `all` and the platform"),
    Setting("zeek", "hello_interval", "seconds", "zeek.hello_interval", "time between hellos"),
    Setting("zeek", "reconnect_interval", "seconds", "zeek.reconnect_interval",
            "mean time between attempts to connect, once several have failed"),
    Setting("zeek", "reconnect_spread", "seconds", "zeek.reconnect_spread",
            "time over which first results after a reconnect are spread; 0 for none"),
    Setting("zeek", "timeout", "seconds", "zeek.timeout", "silence after which a Zeek is gone"),
    Setting("zeek", "tls", "verify|insecure|anonymous|off", "zeek.tls", "how TLS is used"),
    Setting("zeek", "ssl_disable", "flag", "zeek.ssl_disable", 'the same as `tls = "off"`'),
    Setting("zeek", "ssl_cafile", "text", "zeek.ssl_cafile", "trusted authorities, PEM"),
    Setting("zeek", "ssl_capath", "text", "zeek.ssl_capath", "directory of authorities"),
    Setting("zeek", "ssl_certificate", "text", "zeek.ssl_certificate", "own certificate, PEM"),
    Setting("zeek", "ssl_keyfile", "text", "zeek.ssl_keyfile", "own key, PEM"),
    Setting("zeek", "ssl_passphrase", "text", "zeek.ssl_passphrase", "passphrase of the key"),
    Setting("plugins", "block", "texts", "blocked", "plugins, distributions or tables to leave "
            "out"),
    Setting("linux", "bpf", "flag", "linux.bpf", "whether tables may use BPF, which is faster and "
            "sees more, where kernel and privileges allow"),
    Setting("limits", "time", "seconds", "limits.seconds", "time a statement may run"),
    Setting("limits", "rows", "count", "limits.rows", "rows it may return"),
    Setting("limits", "result", "mebibytes", "limits.result_bytes", "MiB of text it may return"),
    Setting("limits", "memory", "mebibytes", "limits.memory_bytes", "MiB SQLite may hold to sort, "
            "group and join"),
    Setting("limits", "recursion", "count", "limits.recursion_steps", "machine steps of a "
            "recursive statement; 0 forbids recursion"),
    Setting("limits", "cell", "mebibytes", "limits.cell_bytes", "MiB of a single value"),
    Setting("policy", "tables", "texts", "policy.tables", "tables Zeek may read, as patterns; "
            "default all"),
    Setting("policy", "deny_tables", "texts", "policy.deny_tables", "tables Zeek may not read"),
    Setting("policy", "paths", "texts", "policy.paths", "paths that Zeek may see in `files_*`: `*` "
            "stays in one directory, `/dir/**` is a tree; default all"),
    Setting("policy", "deny_paths", "texts", "policy.deny_paths", "paths Zeek may not see"),
    Setting("policy", "mask", "texts", "policy.mask", "columns that are NULL for Zeek, as "
            "`users.email` or `*.cmdline`"),
    Setting("policy", "min_interval", "seconds", "policy.min_interval", "least interval of a query "
            "of Zeek's"),
    Setting("policy", "max_rows", "count", "policy.max_rows", "rows that one run of a query of "
            "Zeek's may have"),
    Setting("audit", "level", "off|summary|full", "audit.level", "record of what Zeek asked and "
            "what was sent; `full` has the rows"),
    Setting("audit", "path", "text", "audit.path", "file of the record"),
    Setting("local", "output", "|".join(OUTPUTS), "local.output", "form of `--local`"),
    Setting("local", "log_dir", "text", "local.log_dir", "directory for `--local` to write to"),
    Setting("local", "interval", "seconds", "local.interval", "interval of the default queries"),
    Setting("local", "rotate_size", "mebibytes", "local.rotate_bytes", "MiB after which a log is "
            "rotated; 0 never"),
    Setting("local", "rotate_interval", "seconds", "local.rotate_seconds", "time after which a "
            "log is rotated; 0 never"),
    Setting("local", "keep", "count", "local.keep", "rotated files to keep of each log; 0 all"),
    Setting("console", "keys", "emacs|vi", "console.keys", "keys that edit a line of the console"),
    Setting("local", "default_pack", "flag", "local.default_pack", "whether the default queries "
            "run besides the file's own"),
)  # fmt: skip
"""Every key; `[tables.<table>]` is as its table declares, `[[query]]` is checked where used."""

ZERO_ALLOWED = frozenset(
    {
        "zeek.reconnect_spread",
        "limits.recursion_steps",
        "local.rotate_bytes",
        "local.rotate_seconds",
        "local.keep",
    }
)
MOST = 1e12
"""Greatest number of any kind; more is a slip, and too much for timers and SQLite."""
MOST_CELL = 1000 * MEBI
"""SQLite's own bound for a value."""


def convert(setting: Setting, where: str, value: Any) -> Any:
    """Return *value* as the setting holds it; raise `ConfigError` if it cannot be.

    *where* is how the message names the setting.
    """
    converter = _CONVERTERS.get(setting.kind)
    if converter is None:
        return _choice(setting, where, value)
    try:
        converted = converter(value)
        if isinstance(converted, int | float) and not isinstance(converted, bool):
            _check_bounds(setting, converted)
    except (TypeError, ValueError) as error:
        message = f"cannot parse value for configuration option '{where}': {error}"
        raise ConfigError(message) from None
    return converted


def _choice(setting: Setting, where: str, value: Any) -> str:
    choices = setting.kind.split("|")
    chosen = value.lower() if isinstance(value, str) else None
    if chosen in choices:
        return LEVELS[chosen] if setting.target == "log.level" else chosen
    if setting.section == "log":
        raise ConfigError(f"unknown log {setting.key} '{value}'{nearest(str(value), choices)}")
    raise ConfigError(f"{where} cannot be '{value}'{nearest(str(value), choices)}")


def nearest(name: str, names: Collection[str]) -> str:
    """Return a hint at what *name* was meant to be, of the *names* there are."""
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else f"; known are: {', '.join(sorted(names))}"


def _check_bounds(setting: Setting, number: float) -> None:
    if setting.target in ZERO_ALLOWED:
        if number < 0:
            raise ValueError("it must not be negative")
    elif number <= 0:
        raise ValueError("it must be greater than 0")
    most = MOST_CELL if setting.target == "limits.cell_bytes" else MOST
    if number > most:
        shown = most / MEBI if setting.kind == "mebibytes" else most
        raise ValueError(f"it must be at most {shown:.0f}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("write text in quotes")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError("write text in quotes, or a list of such")
    return tuple(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("write true or false")
    return value


def _number(value: Any, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"write a number of {unit}")
    return value


def _seconds(value: Any) -> float:
    return float(min(_number(value, "seconds"), 2 * MOST))


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("write a whole number")
    return value


def _mebibytes(value: Any) -> int:
    return int(min(_number(value, "MiB"), MOST) * MEBI)


def check_table_settings(
    section: str, given: Mapping[str, Any], defaults: Mapping[str, Any], *, is_own: bool = False
) -> None:
    """Raise `ConfigError` unless `[tables.<section>]` has keys and values like its *defaults*.

    *is_own*: the section is a pack's own, `[<section>]`.
    """
    for key, value in given.items():
        where = f"[{section}] {key}" if is_own else f"[tables.{section}] {key}"
        if key not in defaults:
            hint = nearest(key, defaults) if defaults else "; the table has no settings"
            raise ConfigError(f"unknown key {where}{hint}")
        kind = _KINDS_OF.get(type(defaults[key]))
        if kind is not None:
            convert(Setting(f"tables.{section}", key, kind, "", ""), where, value)


_KINDS_OF = {bool: "flag", int: "count", float: "seconds", str: "text", tuple: "texts"}
"""What a setting of a table may be, by the type of its default."""

_CONVERTERS = {
    "text": _text, "texts": _texts, "flag": _flag, "seconds": _seconds, "count": _count,
    "mebibytes": _mebibytes,
}  # fmt: skip


def environment_name(setting: Setting) -> str:
    """Return the environment variable that sets the same, as `ZEEK_AGENT_LOG_LEVEL`."""
    name = f"{setting.section}_{setting.key}" if setting.section else setting.key
    return "ZEEK_AGENT_" + name.replace("-", "_").upper()


def unknown_variables(environment: Collection[str]) -> list[tuple[str, str]]:
    """Return each variable that looks like ours and sets nothing, with a hint."""
    known = {environment_name(setting) for setting in SETTINGS} | {"ZEEK_AGENT_CONFIG"}
    found = []
    for name in sorted(environment):
        if name.startswith("ZEEK_AGENT_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            found.append((name, f"; did you mean {near[0]}?" if near else ""))
    return found


def parsed(setting: Setting, text: str) -> Any:
    """Return the *text* of an environment variable as the file would hold it."""
    if setting.kind == "texts":
        return [part.strip() for part in text.split(",") if part.strip()]
    if setting.kind == "flag":
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    if setting.kind in ("seconds", "count", "mebibytes"):
        for read in (int, float):
            try:
                return read(text)
            except ValueError:
                continue
    return text
