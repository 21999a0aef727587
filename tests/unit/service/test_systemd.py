"""The unit, and what systemctl tells."""

import configparser
from pathlib import Path

import pytest

from zeek_agent_core.errors import ServiceError
from zeek_agent_core.service.systemd import CAPABILITIES, Systemd, parse_show, quoted, unit


def test_capabilities_have_reasons():
    """Each capability that the unit grants stands in it with what it is for."""
    text = unit(["/usr/bin/zeek-agent"])
    granted = next(line for line in text.splitlines() if line.startswith("CapabilityBounding"))
    for name in granted.partition("=")[2].split():
        assert f"#   {name}: " in text
    assert all(reason for _, reason in CAPABILITIES)


def test_unit_has_its_sections():
    """The unit has the three sections of a service, and runs the command."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(unit(["/opt/an agent", "-c", "/etc/50%.toml"]))
    assert parser.sections() == ["Unit", "Service", "Install"]
    assert parser["Service"]["ExecStart"] == '"/opt/an agent" -c /etc/50%%.toml'
    assert parser["Service"]["Type"] == "notify"


@pytest.mark.parametrize(
    ("word", "expected"),
    [("plain", "plain"), ("a b", '"a b"'), ("", '""'), ('q"', '"q\\""'), ("5%", "5%%"),
     ("$HOME", "$$HOME"), ("a\\b", "a\\\\b")],
)  # fmt: skip
def test_quoting(word, expected):
    """A word of the command reaches the agent as it is."""
    assert quoted(word) == expected


def test_status():
    """What people want to know is picked from the properties; a dead process is none."""
    running = "LoadState=loaded\nActiveState=active\nMainPID=5\nStatusText=Zeek Agent\nNRestarts=0"
    status = parse_show(running)
    assert (status.is_installed, status.is_running) == (True, True)
    assert ("says", "Zeek Agent") in status.facts
    gone = parse_show("LoadState=not-found\nActiveState=inactive\nMainPID=0\n")
    assert (gone.is_installed, gone.is_running) == (False, False)
    assert not [fact for fact in gone.facts if fact[0] == "process"]


def test_without_systemd(tmp_path):
    """Where systemd does not run, starting says so; installing needs no reload."""
    systemd = Systemd(tmp_path)
    with pytest.raises(ServiceError, match="systemd does not run"):
        systemd.start()
    assert [step.shown() for step in systemd.install(["x"])][1:] == [
        "systemctl enable zeek-agent.service"
    ]


def test_the_page_has_the_capabilities():
    """The page on services lists the capabilities that the unit grants, no others."""
    page = (Path(__file__).parents[3] / "docs/service.md").read_text()
    rows = {tuple(line.strip("| ").split("` | ")) for line in page.splitlines() if "`CAP_" in line}
    assert {(name.strip("`"), reason) for name, reason in rows} == set(CAPABILITIES)
