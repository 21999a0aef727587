"""Settings: what can be set, where it comes from, and what is wrong with it.

A value on the command line wins over one in the environment, and that over
the configuration file; lists from the command line are appended.
"""

import difflib
import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from zeek_agent_core.errors import ConfigError
from zeek_agent_core.host import platform
from zeek_agent_core.sql.limits import MEBI, Limits

LEVELS = {
    "trace": "trace", "debug": "debug", "info": "info", "warning": "warning", "warn": "warning",
    "error": "error", "err": "error", "critical": "critical", "off": "off",
}  # fmt: skip
LOG_TYPES = ("stdout", "stderr", "file", "system", "journal")
LOG_FORMATS = ("text", "json")
OUTPUTS = ("pretty", "json", "zeek")


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Section `[log]`."""

    level: str | None = None
    type: str | None = None
    path: str | None = None
    format: str = "text"


@dataclass(frozen=True, slots=True)
class ZeekConfig:
    """Section `[zeek]`."""

    destination: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    hello_interval: float = 60.0
    reconnect_interval: float = 30.0
    timeout: float = 120.0
    tls: str | None = None
    ssl_disable: bool = False
    ssl_cafile: str = ""
    ssl_capath: str = ""
    ssl_certificate: str = ""
    ssl_keyfile: str = ""
    ssl_passphrase: str = ""


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """Section `[local]`."""

    output: str | None = None
    log_dir: str | None = None
    interval: float | None = None
    rotate_bytes: int = 100 * MEBI
    rotate_seconds: float = 86_400.0
    keep: int = 10
    default_pack: bool = True


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of one start."""

    agent_id: str | None = None
    log: LogConfig = field(default_factory=LogConfig)
    zeek: ZeekConfig = field(default_factory=ZeekConfig)
    local: LocalConfig = field(default_factory=LocalConfig)
    limits: Limits = field(default_factory=Limits)
    blocked: tuple[str, ...] = ()
    """Names of plugins, distributions or tables that are not offered."""
    tables: Mapping[str, Any] = field(default_factory=dict)
    """Section `[tables]`: settings that tables read."""
    queries: tuple[Mapping[str, Any], ...] = ()
    """Entries `[[query]]`, as they stand in the file."""
    state_dir: Path | None = None
    run_dir: Path | None = None
    path: Path | None = None
    """The file that was read."""


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
    Setting("log", "level", "|".join(LEVELS), "log.level", "least level that is logged"),
    Setting("log", "type", "|".join(LOG_TYPES), "log.type", "where the log goes; `system` is the "
            "platform's own log, on Linux syslog"),
    Setting("log", "path", "text", "log.path", "file for type `file`"),
    Setting("log", "format", "|".join(LOG_FORMATS), "log.format", "form of a line: `text` for "
            "people, `json` for programs"),
    Setting("zeek", "destination", "texts", "zeek.destination", "Zeek to join, `host[:port]`; "
            "several make several connections"),
    Setting("zeek", "groups", "texts", "zeek.groups", "groups besides `all` and the platform"),
    Setting("zeek", "hello_interval", "seconds", "zeek.hello_interval", "time between hellos"),
    Setting("zeek", "reconnect_interval", "seconds", "zeek.reconnect_interval",
            "least time between attempts to connect"),
    Setting("zeek", "timeout", "seconds", "zeek.timeout", "silence after which a Zeek is gone"),
    Setting("zeek", "tls", "verify|insecure|anonymous|off", "zeek.tls", "how TLS is used"),
    Setting("zeek", "ssl_disable", "flag", "zeek.ssl_disable", "the same as `tls = \"off\"`"),
    Setting("zeek", "ssl_cafile", "text", "zeek.ssl_cafile", "trusted authorities, PEM"),
    Setting("zeek", "ssl_capath", "text", "zeek.ssl_capath", "directory of authorities"),
    Setting("zeek", "ssl_certificate", "text", "zeek.ssl_certificate", "own certificate, PEM"),
    Setting("zeek", "ssl_keyfile", "text", "zeek.ssl_keyfile", "own key, PEM"),
    Setting("zeek", "ssl_passphrase", "text", "zeek.ssl_passphrase", "passphrase of the key"),
    Setting("plugins", "block", "texts", "blocked", "plugins, distributions or tables to leave "
            "out"),
    Setting("limits", "time", "seconds", "limits.seconds", "time a statement may run"),
    Setting("limits", "rows", "count", "limits.rows", "rows it may return"),
    Setting("limits", "result", "mebibytes", "limits.result_bytes", "MiB of text it may return"),
    Setting("limits", "memory", "mebibytes", "limits.memory_bytes", "MiB SQLite may hold to sort, "
            "group and join"),
    Setting("limits", "recursion", "count", "limits.recursion_steps", "machine steps of a "
            "recursive statement; 0 forbids recursion"),
    Setting("limits", "cell", "mebibytes", "limits.cell_bytes", "MiB of a single value"),
    Setting("local", "output", "|".join(OUTPUTS), "local.output", "form of `--local`"),
    Setting("local", "log_dir", "text", "local.log_dir", "directory for `--local` to write to"),
    Setting("local", "interval", "seconds", "local.interval", "interval of the default queries"),
    Setting("local", "rotate_size", "mebibytes", "local.rotate_bytes", "MiB after which a log is "
            "rotated; 0 never"),
    Setting("local", "rotate_interval", "seconds", "local.rotate_seconds", "time after which a "
            "log is rotated; 0 never"),
    Setting("local", "keep", "count", "local.keep", "rotated files to keep of each log; 0 all"),
    Setting("local", "default_pack", "flag", "local.default_pack", "whether the default queries "
            "run besides the file's own"),
)  # fmt: skip
"""Every key; `[tables.<table>]` and `[[query]]` are free-form here and checked where used."""

FREE_SECTIONS = ("tables", "query")
ZERO_ALLOWED = {"limits.recursion_steps", "local.rotate_bytes", "local.rotate_seconds", "local.keep"}


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Return the settings of the file *path*, or of the first standard file there is.

    Raises `ConfigError` naming the file, the key and what to write instead.
    """
    chosen = path or _standard_file(environment)
    if chosen is None:
        return Config()
    try:
        with chosen.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        reason = error.strerror
        raise ConfigError(
            f"error reading {chosen}: cannot open configuration file {chosen}: {reason}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"error reading {chosen}: {error}") from error
    try:
        return replace(from_mapping(values), path=chosen)
    except ConfigError as error:
        raise ConfigError(f"error reading {chosen}: {error}") from error


def _standard_file(environment: Mapping[str, str]) -> Path | None:
    named = environment.get("ZEEK_AGENT_CONFIG")
    if named:
        return Path(named)
    return next((path for path in standard_files() if path.is_file()), None)


def standard_files() -> list[Path]:
    """Return where a configuration file is looked for, in order."""
    if platform() == "windows":
        base = Path(os.environ.get("PROGRAMDATA") or r"c:\ProgramData")
        return [base / "ZeekAgent" / "zeek-agent.cfg"]
    if platform() == "darwin":
        return [application_support() / "ZeekAgent" / "zeek-agent.cfg"]
    prefix = Path(sys.argv[0]).resolve().parent.parent / "etc"
    return [
        Path("/etc/zeek-agent/zeek-agent.toml"),
        prefix / "zeek-agent.conf",
        prefix / "zeek-agent.cfg",
    ]


def application_support() -> Path:
    """Return macOS's directory for what programs keep: the system's for root, else the user's."""
    if os.geteuid() == 0:
        return Path("/Library/Application Support")
    return Path.home() / "Library" / "Application Support"


def from_mapping(values: Mapping[str, Any]) -> Config:
    """Return the settings that *values*, the parsed file, hold."""
    known = {(setting.section, setting.key): setting for setting in SETTINGS}
    sections = {setting.section for setting in SETTINGS} - {""}
    config = Config()
    for name, value in values.items():
        if name in FREE_SECTIONS:
            config = _free(config, name, value)
        elif name in sections:
            if not isinstance(value, Mapping):
                raise ConfigError(f"'{name}' is a section; write [{name}] and keys below it")
            for key, inner in value.items():
                config = _set(config, known, name, key, inner)
        elif isinstance(value, Mapping | list) and ("", name) not in known:
            raise ConfigError(f"unknown section [{name}]{_nearest(name, sections)}")
        else:
            config = _set(config, known, "", name, value)
    return config


def _free(config: Config, name: str, value: Any) -> Config:
    if name == "query":
        if not isinstance(value, list) or not all(isinstance(v, Mapping) for v in value):
            raise ConfigError("queries are written as [[query]], one block for each")
        return replace(config, queries=tuple(value))
    if not isinstance(value, Mapping) or not all(isinstance(v, Mapping) for v in value.values()):
        raise ConfigError("settings of tables are written below [tables.<name>]")
    return replace(config, tables=value)


def _set(
    config: Config,
    known: Mapping[tuple[str, str], Setting],
    section: str,
    key: str,
    value: Any,
) -> Config:
    where = f"[{section}] {key}" if section else key
    setting = known.get((section, key))
    if setting is None:
        names = {name for place, name in known if place == section}
        raise ConfigError(f"unknown key {where}{_nearest(key, names)}")
    converted = _convert(setting, where, value)
    if setting.key in ("state-dir", "run-dir"):
        converted = Path(converted)
    part, _, attribute = setting.target.rpartition(".")
    if not part:
        return replace(config, **{attribute: converted})
    changed = replace(getattr(config, part), **{attribute: converted})
    return replace(config, **{part: changed})


def _convert(setting: Setting, where: str, value: Any) -> Any:
    """Return *value* as the setting holds it; raise `ConfigError` if it cannot be."""
    converter = _CONVERTERS.get(setting.kind)
    if converter is not None:
        try:
            converted = converter(value)
        except TypeError as error:
            raise ConfigError(
                f"cannot parse value for configuration option '{where}': {error}"
            ) from None
        if _is_too_small(setting, converted):
            raise ConfigError(f"cannot parse value for configuration option '{where}': it must be "
                              "greater than 0")
        return converted
    choices = setting.kind.split("|")
    if not isinstance(value, str) or value.lower() not in choices:
        if setting.target == "log.level":
            raise ConfigError(f"unknown log level '{value}' (one of {', '.join(choices)})")
        near = _nearest(str(value), set(choices)) or f" (one of {', '.join(choices)})"
        raise ConfigError(f"{where} cannot be '{value}'{near}")
    return LEVELS[value.lower()] if setting.target == "log.level" else value.lower()


def _is_too_small(setting: Setting, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value < 0 or (value == 0 and setting.target not in ZERO_ALLOWED)


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


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("write a number of seconds")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("write a whole number")
    return value


def _mebibytes(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("write a number of MiB")
    return int(value * MEBI)


_CONVERTERS = {
    "text": _text, "texts": _texts, "flag": _flag, "seconds": _seconds, "count": _count,
    "mebibytes": _mebibytes,
}  # fmt: skip


def _nearest(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else f"; known are: {', '.join(sorted(names))}"


def state_directory(config: Config) -> Path:
    """Return the directory for what outlives a restart."""
    if config.state_dir is not None:
        return config.state_dir
    if platform() == "windows":
        base = Path(os.environ.get("PROGRAMDATA") or r"c:\ProgramData")
        return base / "ZeekAgent" / ".cache"
    if platform() == "darwin":
        return application_support() / "ZeekAgent"
    if os.geteuid() == 0:
        return Path("/var/lib/zeek-agent")
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "zeek-agent"
