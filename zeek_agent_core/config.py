"""The settings of one start, and where they come from.

A value on the command line wins over one in the environment, and that over
the configuration file; lists from the command line are appended.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zeek_agent_core.config_keys import (
    LEVELS,
    MEBI,
    OUTPUTS,
    SETTINGS,
    Setting,
    convert,
    environment_name,
    nearest,
    parsed,
)
from zeek_agent_core.errors import ConfigError
from zeek_agent_core.host import platform
from zeek_agent_core.limits import Limits

__all__ = ["LEVELS", "OUTPUTS", "SETTINGS", "Config", "load", "nearest", "state_directory"]

PACK_SECTIONS = ("osquery",)
"""Sections that are a pack's own; the same as `[tables.<name>]`."""
FREE_SECTIONS = ("tables", "query", *PACK_SECTIONS)
"""Sections whose keys are checked where they are used."""
SYSTEM_STATE = Path("/var/lib/zeek-agent")
SYSTEM_RUN = Path("/run/zeek-agent")


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
    reconnect_spread: float = 30.0
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
class ConsoleConfig:
    """Section `[console]`."""

    keys: str = "emacs"


@dataclass(frozen=True, slots=True)
class LinuxConfig:
    """Section `[linux]`."""

    bpf: bool = True


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """Section `[policy]`: what Zeek may ask."""

    tables: tuple[str, ...] = ()
    deny_tables: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    deny_paths: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    min_interval: float | None = None
    max_rows: int | None = None


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """Section `[audit]`: the record of what Zeek asked and got."""

    level: str = "off"
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of one start."""

    agent_id: str | None = None
    log: LogConfig = field(default_factory=LogConfig)
    zeek: ZeekConfig = field(default_factory=ZeekConfig)
    local: LocalConfig = field(default_factory=LocalConfig)
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    linux: LinuxConfig = field(default_factory=LinuxConfig)
    limits: Limits = field(default_factory=Limits)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
    blocked: tuple[str, ...] = ()
    """Names of plugins, distributions or tables that are not offered."""
    tables: Mapping[str, Any] = field(default_factory=dict)
    """Section `[tables]`: settings that tables read."""
    queries: tuple[Mapping[str, Any], ...] = ()
    """Entries `[[query]]`, as they stand in the file."""
    state_dir: Path | None = None
    run_dir: Path | None = None
    socket: Path | None = None
    """Where consoles connect."""
    path: Path | None = None
    """The file that was read."""


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Return the settings of the file *path*, or of the first standard file there is.

    Variables of the *environment* come on top. Raises `ConfigError` naming
    the file, the key and what to write instead.
    """
    chosen = path or _standard_file(environment)
    config = Config() if chosen is None else _read(chosen)
    for setting in SETTINGS:
        name = environment_name(setting)
        text = environment.get(name)
        if text:
            config = _set(config, setting, name, parsed(setting, text))
    return config


def _read(path: Path) -> Config:
    import tomllib  # noqa: PLC0415 - 5 ms that a start without a file can do without

    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        reason = f"cannot open configuration file {path}: {error.strerror}"
        raise ConfigError(f"error reading {path}: {reason}") from error
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8 text at byte {error.start}; save it as UTF-8"
        raise ConfigError(f"error reading {path}: {reason}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"error reading {path}: {error}") from error
    try:
        return replace(from_mapping(values), path=path)
    except ConfigError as error:
        raise ConfigError(f"error reading {path}: {error}") from error


def _standard_file(environment: Mapping[str, str]) -> Path | None:
    named = environment.get("ZEEK_AGENT_CONFIG")
    if named:
        return Path(named)
    # os.path.isfile, unlike Path.is_file, takes a directory we may not enter for no file.
    return next((path for path in standard_files() if os.path.isfile(path)), None)  # noqa: PTH113


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


def runs_as_root() -> bool:
    """Return whether this process is root's; on Windows nobody is."""
    return sys.platform != "win32" and os.geteuid() == 0


def user_id() -> int:
    """Return the ID of this process's user; on Windows there is none."""
    if sys.platform == "win32":
        return 0
    else:  # noqa: RET505 - so that a check of types for one system leaves out the other
        return os.getuid()


def application_support() -> Path:
    """Return macOS's directory for what programs keep: the system's for root, else the user's."""
    if runs_as_root():
        return Path("/Library/Application Support")
    return Path.home() / "Library" / "Application Support"


def from_mapping(values: Mapping[str, Any]) -> Config:
    """Return the settings that *values*, the parsed file, hold."""
    sections = {setting.section for setting in SETTINGS if setting.section}
    top = {setting.key for setting in SETTINGS if not setting.section}
    config = Config()
    for name, value in values.items():
        if name in FREE_SECTIONS:
            config = _free(config, name, value)
        elif name in sections:
            if not isinstance(value, Mapping):
                raise ConfigError(f"'{name}' is a section; write [{name}] and keys below it")
            for key, inner in value.items():
                config = _set(config, _known(name, key), f"[{name}] {key}", inner)
        elif isinstance(value, Mapping | list) and name not in top:
            raise ConfigError(f"unknown section [{name}]{nearest(name, sections)}")
        else:
            config = _set(config, _known("", name), name, value)
    return config


def _free(config: Config, name: str, value: Any) -> Config:
    if name == "query":
        if not isinstance(value, list) or not all(isinstance(v, Mapping) for v in value):
            raise ConfigError("queries are written as [[query]], one block for each")
        return replace(config, queries=tuple(value))
    if name in PACK_SECTIONS:
        if not isinstance(value, Mapping):
            raise ConfigError(f"'{name}' is a section; write [{name}] and keys below it")
        return replace(config, tables={**config.tables, name: value})
    if not isinstance(value, Mapping) or not all(isinstance(v, Mapping) for v in value.values()):
        raise ConfigError("settings of tables are written below [tables.<name>]")
    return replace(config, tables={**config.tables, **value})


def _known(section: str, key: str) -> Setting:
    known = {setting.key: setting for setting in SETTINGS if setting.section == section}
    if key not in known:
        where = f"[{section}] {key}" if section else key
        raise ConfigError(f"unknown key {where}{nearest(key, known)}")
    return known[key]


def _set(config: Config, setting: Setting, where: str, value: Any) -> Config:
    converted = convert(setting, where, value)
    if setting.key in ("state-dir", "run-dir", "socket"):
        converted = Path(converted)
    part, _, attribute = setting.target.rpartition(".")
    if not part:
        return replace(config, **{attribute: converted})
    changed = replace(getattr(config, part), **{attribute: converted})
    return replace(config, **{part: changed})


def state_directory(
    config: Config, environment: Mapping[str, str] = os.environ, *, is_root: bool | None = None
) -> Path:
    """Return the directory for what outlives a restart."""
    if config.state_dir is not None:
        return config.state_dir
    if platform() == "windows":
        base = Path(environment.get("PROGRAMDATA") or r"c:\ProgramData")
        return base / "ZeekAgent" / ".cache"
    if platform() == "darwin":
        return application_support() / "ZeekAgent"
    if runs_as_root() if is_root is None else is_root:
        return SYSTEM_STATE
    home = environment.get("HOME")
    state = environment.get("XDG_STATE_HOME") or (home and f"{home}/.local/state")
    return Path(state) / "zeek-agent" if state else SYSTEM_STATE


def run_directory(
    config: Config, environment: Mapping[str, str] = os.environ, *, is_root: bool | None = None
) -> Path:
    """Return the directory for what ends with the agent."""
    if config.run_dir is not None:
        return config.run_dir
    if platform() == "linux":
        if runs_as_root() if is_root is None else is_root:
            return SYSTEM_RUN
        runtime = environment.get("XDG_RUNTIME_DIR")
        if runtime:
            return Path(runtime) / "zeek-agent"
    return state_directory(config, environment, is_root=is_root)


def socket_path(config: Config, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where consoles connect: a socket, or on Windows a named pipe."""
    if config.socket is not None:
        return config.socket
    if platform() == "windows":
        user = environment.get("USERNAME") or "user"
        return Path(rf"\\.\pipe\zeek-agent.{user}")
    return run_directory(config, environment) / f"zeek-agent.{user_id()}.sock"
