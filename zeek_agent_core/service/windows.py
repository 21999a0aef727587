"""The agent as a Windows service, through pywin32.

The service's process is this Python itself: ``python -m zeek_agent_core
service run`` hands itself to the service control manager.
"""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from zeek_agent_core.errors import ServiceError
from zeek_agent_core.service.manager import Status
from zeek_agent_core.service.steps import Call, Step

NAME: Final = "ZeekAgent"
TITLE: Final = "Zeek Agent"
DESCRIPTION: Final = "Offers this host to Zeek as SQL tables."
RESTART_MS: Final = 5_000
FORGET_SECONDS: Final = 3_600
"""After which failures are forgotten."""
STATES: Final = {
    1: "stopped", 2: "start pending", 3: "stop pending", 4: "running", 5: "continue pending",
    6: "pause pending", 7: "paused",
}  # fmt: skip
DOES_NOT_EXIST: Final = 1060
"""ERROR_SERVICE_DOES_NOT_EXIST"""


def bindings() -> Any:
    """Return pywin32's module of the service control manager."""
    try:
        import win32service  # noqa: PLC0415 - Windows only
    except ImportError as error:
        raise ServiceError(
            "pywin32 is missing; install zeek-agent-windows, which brings it"
        ) from error
    return win32service


class Windows:
    """The service control manager."""

    def install(self, command: Sequence[str]) -> Sequence[Step]:
        """Plan to register the service, to start it again when it fails, and with the system."""
        line = service_line(command)
        return [Call(f"create service {NAME}: {line}", lambda: _create(line))]

    def uninstall(self) -> Sequence[Step]:
        """Plan to stop and delete the service."""
        return [
            Call(f"stop service {NAME}", lambda: _with_service(_stop, is_missing_fine=True)),
            Call(f"delete service {NAME}", lambda: _with_service(_delete)),
        ]

    def start(self) -> Sequence[Step]:
        """Plan to start the service."""
        return [Call(f"start service {NAME}", lambda: _with_service(_start))]

    def stop(self) -> Sequence[Step]:
        """Plan to stop the service."""
        return [Call(f"stop service {NAME}", lambda: _with_service(_stop))]

    def status(self) -> Status:
        """Return what the manager tells of the service."""
        found = _with_service(_query, is_missing_fine=True)
        if found is None:
            return Status(is_installed=False, is_running=False)
        state = STATES.get(found["CurrentState"], str(found["CurrentState"]))
        facts = [("state", state), ("process", str(found["ProcessId"]))]
        return Status(is_installed=True, is_running=state == "running", facts=facts)


def service_line(command: Sequence[str]) -> str:
    """Return the command line of the service: *command*'s options behind ``service run``."""
    options = command[command.index("-c") :] if "-c" in command else []
    return subprocess.list2cmdline([
        sys.executable, "-m", "zeek_agent_core", "service", "run", *options,
    ])  # fmt: skip


def _create(line: str) -> None:
    scm = bindings()
    manager = scm.OpenSCManager(None, None, scm.SC_MANAGER_ALL_ACCESS)
    try:
        service = scm.CreateService(
            manager,
            NAME,
            TITLE,
            scm.SERVICE_ALL_ACCESS,
            scm.SERVICE_WIN32_OWN_PROCESS,
            scm.SERVICE_AUTO_START,
            scm.SERVICE_ERROR_NORMAL,
            line,
            None,
            0,
            None,
            None,  # the account LocalSystem
            None,
        )
        try:
            set_config = scm.ChangeServiceConfig2
            set_config(service, scm.SERVICE_CONFIG_DESCRIPTION, DESCRIPTION)
            actions = {
                "ResetPeriod": FORGET_SECONDS,
                "RebootMsg": "",
                "Command": "",
                "Actions": [(scm.SC_ACTION_RESTART, RESTART_MS)] * 3,
            }
            set_config(service, scm.SERVICE_CONFIG_FAILURE_ACTIONS, actions)
            set_config(service, scm.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, True)  # noqa: FBT003
        finally:
            scm.CloseServiceHandle(service)
    except scm.error as error:
        raise _translated(error) from error
    finally:
        scm.CloseServiceHandle(manager)


def _with_service(act: Callable[[Any, Any], Any], *, is_missing_fine: bool = False) -> Any:
    """Return what *act* returns for the bindings and the opened service."""
    scm = bindings()
    manager = service = None
    try:
        manager = scm.OpenSCManager(None, None, scm.SC_MANAGER_CONNECT)
        service = scm.OpenService(manager, NAME, scm.SERVICE_ALL_ACCESS)
        return act(scm, service)
    except scm.error as error:
        if is_missing_fine and error.winerror == DOES_NOT_EXIST:
            return None
        raise _translated(error) from error
    finally:
        for handle in filter(None, (service, manager)):
            scm.CloseServiceHandle(handle)


def _start(scm: Any, service: Any) -> None:
    scm.StartService(service, None)


def _stop(scm: Any, service: Any) -> None:
    if scm.QueryServiceStatusEx(service)["CurrentState"] != scm.SERVICE_STOPPED:
        scm.ControlService(service, scm.SERVICE_CONTROL_STOP)


def _delete(scm: Any, service: Any) -> None:
    scm.DeleteService(service)


def _query(scm: Any, service: Any) -> Any:
    return scm.QueryServiceStatusEx(service)


def _translated(error: Any) -> ServiceError:
    hint = "; run this as an administrator" if error.winerror == 5 else ""  # noqa: PLR2004
    return ServiceError(f"{error.funcname}: {str(error.strerror).rstrip('.').lower()}{hint}")


def host(run: Callable[[asyncio.Event], Any]) -> None:
    """Run the agent for the service control manager, in a process that the manager started.

    *run* makes the coroutine that runs the agent until the event it is given is set.
    """
    bindings()
    import servicemanager  # noqa: PLC0415 - Windows only
    import win32serviceutil  # noqa: PLC0415 - Windows only

    class Service(win32serviceutil.ServiceFramework):
        """What the manager talks to, in threads of its own."""

        _svc_name_ = NAME
        _svc_display_name_ = TITLE

        def SvcDoRun(self) -> None:
            """Run the agent until it is stopped."""
            asyncio.run(self._main())

        async def _main(self) -> None:
            self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
            await run(self._ended)

        def SvcStop(self) -> None:
            """Let the agent end."""
            self.ReportServiceStatus(bindings().SERVICE_STOP_PENDING)
            self._loop.call_soon_threadsafe(self._ended.set)

    servicemanager.Initialize(NAME, None)
    servicemanager.PrepareToHostSingle(Service)
    servicemanager.StartServiceCtrlDispatcher()  # type: ignore[no-untyped-call]
