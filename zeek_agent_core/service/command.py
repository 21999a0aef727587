"""``zeek-agent service``: makes the agent a service of the system, and looks after it."""

import asyncio
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from zeek_agent_core import config as settings
from zeek_agent_core.arguments import Parser
from zeek_agent_core.errors import ServiceError
from zeek_agent_core.host import platform
from zeek_agent_core.service import manager as managers
from zeek_agent_core.service.manager import Manager, Status
from zeek_agent_core.service.steps import Step

ACTIONS = {
    "install": "let the system start the agent, and restart it when it fails",
    "uninstall": "stop the agent and forget it; state and configuration stay",
    "start": "start the agent now",
    "stop": "stop the agent until the next start",
    "status": "tell how the agent fares; the status is 3 where it does not run",
}
NOT_RUNNING = 3
"""Exit status, as of ``systemctl status``."""


def parser() -> Parser:
    """Return the parser of the words behind ``service``."""
    made = Parser(prog="zeek-agent service", description="The agent as a service of this system.")
    listed = "; ".join(f"{name}: {text}" for name, text in ACTIONS.items())
    made.add_argument("action", choices=[*ACTIONS, "run"], metavar="ACTION", help=listed)
    made.add_argument(
        "--dry-run", action="store_true", help="print what would be written and run, do nothing"
    )
    made.add_argument(
        "-c", "--config", metavar="FILE", type=Path, help="configuration file of the service"
    )
    return made


def main(arguments: Sequence[str]) -> int:
    """Do what *arguments* say; return the exit status."""
    options = parser().parse_args(arguments)
    if options.action == "run":
        return _run(options)
    manager = manager_of(platform())
    if options.action == "status":
        return show(manager.status())
    steps = planned(manager, options)
    for step in steps:
        if options.dry_run:
            print(step.shown())
        else:
            step.do()
    if not options.dry_run:
        print(f"zeek-agent: {DONE[options.action]}", file=sys.stderr)
    return 0


DONE = {
    "install": "installed; start it with: zeek-agent service start",
    "uninstall": "uninstalled; its state and configuration are still there",
    "start": "started",
    "stop": "stopped",
}


def manager_of(system: str) -> Manager:
    """Return the service manager of the platform *system*."""
    if system == "windows":
        from zeek_agent_core.service.windows import Windows  # noqa: PLC0415 - one of three

        return Windows()
    if system == "darwin":
        from zeek_agent_core.service.launchd import Launchd  # noqa: PLC0415 - one of three

        return Launchd()
    from zeek_agent_core.service.systemd import Systemd  # noqa: PLC0415 - one of three

    return Systemd()


def planned(manager: Manager, options: Namespace) -> Sequence[Step]:
    """Return the steps of an action; a configuration that cannot be used is refused at once."""
    if options.action == "install":
        settings.load(options.config)
        return manager.install(managers.command(options.config))
    plan: Sequence[Step] = getattr(manager, options.action)()
    return plan


def show(status: Status) -> int:
    """Print how the service fares; return the exit status."""
    if not status.is_installed:
        print("not installed; zeek-agent service install does that")
    elif not status.facts:
        print("running" if status.is_running else "installed, not running")
    for name, value in status.facts if status.is_installed else ():
        print(f"{name + ':':<13} {value}")
    return 0 if status.is_running else NOT_RUNNING


def _run(options: Namespace) -> int:
    """Be the service's process, on Windows."""
    if platform() != "windows":
        raise ServiceError("only Windows starts this; elsewhere run zeek-agent itself")
    from zeek_agent_core import daemon, logs  # noqa: PLC0415 - one of several uses
    from zeek_agent_core.service import windows  # noqa: PLC0415 - one of several uses

    config = settings.load(options.config)
    logs.set_up(config.log, default_type="system")

    def agent(ended: asyncio.Event) -> object:
        return daemon.run(
            config,
            is_local=False,
            is_interactive=False,
            is_mock=False,
            ends_on_disconnect=False,
            reload=lambda: settings.load(options.config),
            ended=ended,
        )

    windows.host(agent)
    return 0
