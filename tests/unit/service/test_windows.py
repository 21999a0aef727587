"""What Windows is asked to run."""

import sys

import pytest

from zeek_agent_core.errors import ServiceError
from zeek_agent_core.service.windows import Windows, service_line


def test_service_line():
    """The service runs this Python as a service process, with the configuration file quoted."""
    line = service_line(["C:\\agent.exe", "-c", "C:\\Program Files\\a.cfg"])
    assert line.endswith('-m zeek_agent_core service run -c "C:\\Program Files\\a.cfg"')
    assert line.startswith(sys.executable)


@pytest.mark.skipif(sys.platform == "win32", reason="pywin32 is there")
def test_without_pywin32():
    """Without pywin32 the reason and the remedy are told; plans need nothing."""
    windows = Windows()
    assert "create service ZeekAgent" in windows.install(["agent"])[0].shown()
    with pytest.raises(ServiceError, match="pywin32 is missing; install zeek-agent-windows"):
        windows.status()
