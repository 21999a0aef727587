"""The agent as a systemd service: systemd.service(5), systemd.exec(5)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from zeek_agent_core.errors import ServiceError
from zeek_agent_core.service.manager import Status
from zeek_agent_core.service.steps import Remove, Run, Step, Write, run

NAME: Final = "zeek-agent.service"
WATCHDOG_SECONDS = 60

CAPABILITIES: Final = (
    ("CAP_DAC_READ_SEARCH", "read files and directories of all users; name files of fanotify"),
    ("CAP_SYS_PTRACE", "programs, directories and descriptors of other users' processes"),
    ("CAP_NET_ADMIN", "process connector, ends of sockets, large netlink buffers"),
    ("CAP_SYS_ADMIN", "sockets of other network namespaces, fanotify, a private tracefs"),
    ("CAP_BPF", "BPF programs, on kernels that part it from CAP_SYS_ADMIN"),
    ("CAP_PERFMON", "BPF programs that trace"),
    ("CAP_AUDIT_CONTROL", "rules of the kernel's audit, where it is the source"),
    ("CAP_AUDIT_READ", "audit records beside another daemon"),
    ("CAP_SYSLOG", "the kernel's log where there is no journal"),
    ("CAP_SYS_RESOURCE", "memory for BPF maps on kernels before 5.11"),
)
"""What root keeps, each with what fails without it."""

SERVICE: Final = (
    ("", "Type", "notify"),
    ("", "NotifyAccess", "main"),
    ("", "ExecReload", "/bin/kill -HUP $MAINPID"),
    ("the event loop gives a sign of life twice as often", "WatchdogSec", f"{WATCHDOG_SECONDS}"),
    ("", "Restart", "on-failure"),
    ("", "RestartSec", "5"),
    ("", "TimeoutStopSec", "20"),
    ("", "StateDirectory", "zeek-agent"),
    ("", "StateDirectoryMode", "0700"),
    ("", "RuntimeDirectory", "zeek-agent"),
    ("", "RuntimeDirectoryMode", "0700"),
    ("", "LogsDirectory", "zeek-agent"),
    ("", "LogsDirectoryMode", "0700"),
    ("", "UMask", "0077"),
    ("", "OOMScoreAdjust", "500"),
    ("a runaway agent must not take the host with it", "MemoryMax", "2G"),
    ("", "TasksMax", "64"),
)

SANDBOX: Final = (
    ("files are read, none is written but its own", "ProtectSystem", "strict"),
    ("keys and files of users are tables", "ProtectHome", "read-only"),
    ("no PrivateTmp, PrivateDevices or ProtectHostname: tables show the host as it is",
     "DevicePolicy", "closed"),
    ("the kernel's log", "DeviceAllow", "/dev/kmsg r"),
    ("", "DeviceAllow", "char-rtc r"),
    ("", "ProtectClock", "yes"),
    ("", "ProtectControlGroups", "yes"),
    ("", "ProtectKernelModules", "yes"),
    ("no ProtectKernelTunables: it makes tracefs read-only", "LockPersonality", "yes"),
    ("", "MemoryDenyWriteExecute", "yes"),
    ("", "NoNewPrivileges", "yes"),
    ("Zeek, consoles, netlink", "RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
    ("network namespaces of containers; a tracefs mounted for the agent alone",
     "RestrictNamespaces", "net mnt"),
    ("", "RestrictRealtime", "yes"),
    ("", "RestrictSUIDSGID", "yes"),
    ("", "SystemCallArchitectures", "native"),
    ("", "SystemCallErrorNumber", "EPERM"),
    ("", "SystemCallFilter", "@system-service"),
    ("BPF; fanotify; namespaces; a private tracefs",
     "SystemCallFilter",
     ("bpf perf_event_open fanotify_init fanotify_mark open_by_handle_at name_to_handle_at "
     "setns unshare mount umount2")),
)  # fmt: skip


class Systemd:
    """The service manager of most Linux systems."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Manage the system whose files are below *root*."""
        self.unit = root / "etc/systemd/system" / NAME
        self._is_up = (root / "run/systemd/system").is_dir()

    def install(self, command: Sequence[str]) -> Sequence[Step]:
        """Plan to write the unit and let it start with the system."""
        steps: list[Step] = [Write(self.unit, unit(command))]
        if self._is_up:
            steps.append(Run(("systemctl", "daemon-reload")))
        return [*steps, Run(("systemctl", "enable", NAME))]

    def uninstall(self) -> Sequence[Step]:
        """Plan to stop the service and remove its unit."""
        steps: list[Step] = [Run(("systemctl", "disable", NAME), may_fail=True), Remove(self.unit)]
        if not self._is_up:
            return steps
        stop = Run(("systemctl", "stop", NAME), may_fail=True)
        return [stop, *steps, Run(("systemctl", "daemon-reload"))]

    def start(self) -> Sequence[Step]:
        """Plan to start the service; it counts as started once the agent says so."""
        self._require()
        return [Run(("systemctl", "start", NAME))]

    def stop(self) -> Sequence[Step]:
        """Plan to stop the service."""
        self._require()
        return [Run(("systemctl", "stop", NAME))]

    def status(self) -> Status:
        """Return what ``systemctl show`` tells."""
        self._require()
        wanted = ",".join(FACTS)
        code, output = run(("systemctl", "show", NAME, f"--property={wanted}"))
        if code:
            raise ServiceError(f"systemctl show {NAME} failed: {output}")
        return parse_show(output)

    def _require(self) -> None:
        if not self._is_up:
            raise ServiceError(
                "systemd does not run this system; run zeek-agent under its own service manager"
            )


FACTS: Final = {
    "LoadState": "",
    "ActiveState": "state",
    "SubState": "",
    "UnitFileState": "at start-up",
    "MainPID": "process",
    "ActiveEnterTimestamp": "since",
    "StatusText": "says",
    "NRestarts": "restarts",
    "Result": "result",
}
"""Properties of a unit, and what people call them."""


def parse_show(output: str) -> Status:
    """Return the status that the output of ``systemctl show`` describes."""
    found = dict(line.partition("=")[::2] for line in output.splitlines())
    facts = [(word, found[name]) for name, word in FACTS.items() if word and found.get(name)]
    return Status(
        is_installed=found.get("LoadState") == "loaded",
        is_running=found.get("ActiveState") in {"active", "reloading"},
        facts=[fact for fact in facts if fact != ("process", "0")],
    )


def unit(command: Sequence[str]) -> str:
    """Return the unit that runs *command*."""
    return "\n".join(_lines(command)) + "\n"


def _lines(command: Sequence[str]) -> Iterator[str]:
    yield "# Written by: zeek-agent service install"
    yield "[Unit]"
    yield "Description=Zeek Agent"
    yield "Wants=network-online.target"
    yield "After=network-online.target systemd-journald.service auditd.service"
    yield "StartLimitIntervalSec=0"
    yield ""
    yield "[Service]"
    yield f"ExecStart={' '.join(map(quoted, command))}"
    yield from _settings(SERVICE)
    yield ""
    yield "# What root keeps of its privileges:"
    for name, reason in CAPABILITIES:
        yield f"#   {name}: {reason}"
    yield f"CapabilityBoundingSet={' '.join(name for name, _ in CAPABILITIES)}"
    yield ""
    yield from _settings(SANDBOX)
    yield ""
    yield "[Install]"
    yield "WantedBy=multi-user.target"


def _settings(settings: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    for reason, name, value in settings:
        if reason:
            yield f"# {reason}"
        yield f"{name}={value}"


def quoted(word: str) -> str:
    """Return *word* as one word of a command in a unit, systemd.syntax(7)."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if not word or any(c in " \t'\";" for c in word) else escaped
