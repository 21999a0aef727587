"""The agent as a daemon of launchd: launchd.plist(5), launchctl(1)."""

import plistlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from zeek_agent_core.service.manager import Status
from zeek_agent_core.service.steps import Remove, Run, Step, Write, run

LABEL: Final = "org.zeek.zeek-agent"
TARGET: Final = f"system/{LABEL}"
FACTS: Final = {"state": "state", "pid": "process", "runs": "starts", "last exit code": "result"}
"""Lines of ``launchctl print``, and what people call them."""


class Launchd:
    """The service manager of macOS."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Manage the system whose files are below *root*."""
        self.plist = root / "Library/LaunchDaemons" / f"{LABEL}.plist"

    def install(self, command: Sequence[str]) -> Sequence[Step]:
        """Plan to write the property list and allow it."""
        return [
            Run(("launchctl", "bootout", TARGET), may_fail=True),
            Write(self.plist, property_list(command)),
            Run(("launchctl", "enable", TARGET)),
        ]

    def uninstall(self) -> Sequence[Step]:
        """Plan to stop the daemon and remove its property list."""
        return [Run(("launchctl", "bootout", TARGET), may_fail=True), Remove(self.plist)]

    def start(self) -> Sequence[Step]:
        """Plan to load the daemon, which starts it."""
        return [
            Run(("launchctl", "bootstrap", "system", str(self.plist)), may_fail=True),
            Run(("launchctl", "kickstart", TARGET)),
        ]

    def stop(self) -> Sequence[Step]:
        """Plan to unload the daemon; otherwise launchd might start it again."""
        return [Run(("launchctl", "bootout", TARGET))]

    def status(self) -> Status:
        """Return what ``launchctl print`` tells."""
        code, output = run(("launchctl", "print", TARGET))
        return parse_print(output if code == 0 else "", is_installed=self.plist.exists())


def parse_print(output: str, *, is_installed: bool) -> Status:
    """Return the status that the output of ``launchctl print`` describes; "" is not loaded."""
    found: dict[str, str] = {}
    for line in output.splitlines():
        name, equals, value = line.strip().partition(" = ")
        if equals:
            found.setdefault(name, value)
    facts = [(word, found[name]) for name, word in FACTS.items() if name in found]
    return Status(is_installed, is_running=found.get("state") == "running", facts=facts)


def property_list(command: Sequence[str]) -> str:
    """Return the property list that runs *command*."""
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": list(command),
            "RunAtLoad": True,
            # An agent that was told to end stays away, one that failed comes back.
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            "ExitTimeOut": 20,
            "Umask": 0o077,
            "SoftResourceLimits": {"NumberOfFiles": 4096},
        },
        sort_keys=False,
    ).decode()
