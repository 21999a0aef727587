"""The property list, and what launchctl tells."""

import plistlib

from zeek_agent_core.service.launchd import Launchd, parse_print, property_list

# As launchctl(1) prints a running daemon, shortened.
PRINTED = """system/org.zeek.zeek-agent = {
	active count = 1
	path = /Library/LaunchDaemons/org.zeek.zeek-agent.plist
	type = LaunchDaemon
	state = running

	program = /usr/local/bin/zeek-agent
	endpoints = {
		state = other
	}
	runs = 2
	pid = 4711
	last exit code = 1
}
"""


def test_property_list():
    """The daemon runs the command at once, comes back when it fails, and has a private umask."""
    made = plistlib.loads(property_list(["/bin/agent", "-c", "/a <b>"]).encode())
    assert made["ProgramArguments"] == ["/bin/agent", "-c", "/a <b>"]
    assert made["RunAtLoad"] is True
    assert made["KeepAlive"] == {"SuccessfulExit": False}
    assert made["Umask"] == 0o077


def test_status():
    """State, process, starts and last result come from the outermost block."""
    status = parse_print(PRINTED, is_installed=True)
    assert status.is_running
    assert dict(status.facts) == {
        "state": "running", "process": "4711", "starts": "2", "result": "1"
    }  # fmt: skip
    assert not parse_print("", is_installed=True).is_running


def test_plans(tmp_path):
    """Installing writes the property list where launchd looks; uninstalling removes it."""
    launchd = Launchd(tmp_path)
    shown = [step.shown() for step in launchd.install(["agent"])]
    path = tmp_path / "Library/LaunchDaemons/org.zeek.zeek-agent.plist"
    assert any(text.startswith(f"# write {path}") for text in shown)
    assert f"# remove {path}" in [step.shown() for step in launchd.uninstall()]
    assert not path.exists()
