"""The words behind `zeek-agent service`."""

import pytest

from zeek_agent_core.cli import main
from zeek_agent_core.service.command import manager_of, show
from zeek_agent_core.service.manager import Status


def test_dry_run_changes_nothing(capsys, tmp_path):
    """A dry run prints the whole unit with the configuration file, and writes none."""
    config = tmp_path / "agent.toml"
    config.write_text("")
    assert main(["service", "install", "--dry-run", "-c", str(config)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("# write /etc/systemd/system/zeek-agent.service:")
    assert f"-c {config}" in told
    assert "WantedBy=multi-user.target" in told


def test_a_wrong_configuration_is_refused(capsys, tmp_path):
    """What could not run is not installed."""
    config = tmp_path / "agent.toml"
    config.write_text("[log]\nlevle = 'info'\n")
    assert main(["service", "install", "--dry-run", "-c", str(config)]) == 1
    assert "did you mean 'level'" in capsys.readouterr().err


def test_an_unknown_action(capsys):
    """An unknown action is refused with the known ones."""
    with pytest.raises(SystemExit) as ended:
        main(["service", "instal"])
    assert ended.value.code == 1
    assert "install" in capsys.readouterr().err


def test_every_system_has_a_manager():
    """Each of the three systems can plan all actions that need no look at the system."""
    for system in ("linux", "darwin", "windows"):
        manager = manager_of(system)
        for steps in (manager.install(["agent"]), manager.uninstall()):
            assert all(step.shown() for step in steps)


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (Status(is_installed=False, is_running=False), "not installed", 3),
        (Status(is_installed=True, is_running=False), "installed, not running", 3),
        (Status(is_installed=True, is_running=True, facts=[("process", "5")]), "process:", 0),
    ],
)
def test_show(capsys, status, text, code):
    """The status is told in words and by the exit status."""
    assert show(status) == code
    assert text in capsys.readouterr().out
