"""The agent as a service under a real systemd, booted for the test."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.booted import Booted

AGENT = Path(sys.executable).with_name("zeek-agent")
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    """Return a system under systemd."""
    with Booted(tmp_path_factory.mktemp("booted"), keep=ROOT) as system:
        yield system


@pytest.fixture
def system(booted):
    """Return the system with the agent installed as a service, and started."""
    booted.run(AGENT, "service", "install")
    booted.run("systemctl", "reset-failed")
    booted.run(AGENT, "service", "start")
    return booted


def ask(system, sql):
    """Return the rows of a statement, asked of the agent that runs as a service."""
    found = system.run(AGENT, "-r", "-e", sql, "--mode", "json", check=False)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def show(system, name):
    """Return a property of the unit."""
    return system.run(
        "systemctl", "show", "zeek-agent.service", f"--property={name}", "--value"
    ).stdout.strip()


def wait_for(condition, what, seconds=30.0):
    """Wait until *condition* holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.2)


def test_it_starts_and_says_so(system):
    """The unit is active once the agent said that it is ready; `service status` shows it."""
    told = system.run(AGENT, "service", "status")
    assert "state:        active" in told.stdout
    assert "says:         Zeek Agent v" in told.stdout
    assert "at start-up:  enabled" in told.stdout


def test_it_logs_to_the_journal(system):
    """Without any setting its log is in the journal, with priorities."""
    log = system.run("journalctl", "-u", "zeek-agent", "-o", "json", "--no-pager").stdout
    entries = [json.loads(line) for line in log.splitlines()]
    ours = [entry for entry in entries if entry.get("ZEEK_AGENT_COMPONENT")]
    assert any(entry["MESSAGE"].startswith("Zeek Agent v") for entry in ours)
    assert {entry["SYSLOG_IDENTIFIER"] for entry in ours} == {"zeek-agent"}


def test_its_directories_are_private(system):
    """State and runtime directories are the service's own, for root alone."""
    for path in ("/var/lib/zeek-agent", "/run/zeek-agent"):
        assert system.run("stat", "-c", "%a %U", path).stdout.split() == ["700", "root"]


def test_every_table_works_in_the_sandbox(system):
    """No table fails, warns or is missing in the service that works outside of the sandbox."""
    outside = system.run(AGENT, "selftest", "--output", "/run/report", check=False, timeout=120)
    assert outside.returncode == 0, outside.stdout + outside.stderr
    extra = [
        "systemd-run", "--wait", "--pipe", "--quiet", "--collect",
        "--property=StateDirectory=selftest", "--setenv=TMPDIR=/var/lib/selftest",
    ]  # fmt: skip
    inside = system.run(*extra, *sandbox(system), AGENT, "selftest", check=False, timeout=120)
    assert inside.returncode == 0, inside.stdout + inside.stderr
    assert outcomes(inside.stdout) == outcomes(outside.stdout)


def sandbox(system):
    """Return the options that give another program the sandbox of the unit."""
    unit = system.run("cat", "/etc/systemd/system/zeek-agent.service").stdout
    service = unit.partition("[Service]")[2].partition("[Install]")[0]
    left_out = ("Exec", "Type", "Notify", "Restart", "Watchdog", "Timeout", "Runtime", "State",
                "Logs")  # fmt: skip
    return [
        f"--property={line}"
        for line in service.splitlines()
        if "=" in line and not line.startswith(("#", *left_out))
    ]


def outcomes(report):
    """Return how each part of a self-test went, and from which source."""
    found = {}
    for line in report.splitlines():
        outcome, _, rest = line.strip().partition(" ")
        if outcome in {"passed", "FAILED", "skipped"} and "  " in rest.strip():
            subject, _, detail = rest.strip().partition("  ")
            source = detail.partition(", from ")[2].partition(",")[0].strip()
            found[subject] = outcome, source
    assert found
    return found


def test_it_reloads(system):
    """`systemctl reload` has the agent read its configuration again, and it stays active."""
    system.run("systemctl", "reload", "zeek-agent")
    log = ("journalctl", "-u", "zeek-agent", "--no-pager")
    wait_for(lambda: "configuration read again" in system.run(*log).stdout, "it was not told")
    assert show(system, "ActiveState") == "active"


def test_it_comes_back_after_a_crash(system):
    """A killed agent is started again and is the same agent as before."""
    before = ask(system, "SELECT id FROM zeek_agent")
    first = show(system, "MainPID")
    system.run("kill", "-9", first)
    wait_for(lambda: show(system, "MainPID") not in {first, "0"}, "it stays away")
    wait_for(lambda: show(system, "ActiveState") == "active", "it is not ready")
    assert ask(system, "SELECT id FROM zeek_agent") == before


def test_it_comes_back_after_it_hung(system):
    """An agent whose loop does not turn is ended by the watchdog and started again."""
    system.run("mkdir", "-p", "/run/systemd/system/zeek-agent.service.d")
    drop_in = "/run/systemd/system/zeek-agent.service.d/test.conf"
    system.run("sh", "-c", f"printf '[Service]\\nWatchdogSec=2\\n' > {drop_in}")
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "restart", "zeek-agent")
    time.sleep(5)  # longer than two watchdogs
    first = show(system, "MainPID")
    assert show(system, "NRestarts") == "0", "it gave no signs of life"
    system.run("kill", "-STOP", first)
    wait_for(lambda: show(system, "MainPID") not in {first, "0"}, "nobody noticed")
    system.run("rm", drop_in)
    system.run("systemctl", "daemon-reload")


def test_it_stops_and_goes(system):
    """`service stop` ends it in order, `service uninstall` leaves no unit behind."""
    system.run(AGENT, "service", "stop")
    assert show(system, "Result") == "success"
    assert system.run(AGENT, "service", "status", check=False).returncode == 3
    system.run(AGENT, "service", "start")
    system.run(AGENT, "service", "uninstall")
    assert show(system, "LoadState") == "not-found"
    assert show(system, "ActiveState") == "inactive"
    assert system.run("ls", "/var/lib/zeek-agent/uuid").returncode == 0


def test_the_unit_is_well_formed_and_tight(tmp_path):
    """`systemd-analyze` finds nothing wrong with the unit, and its exposure low."""
    plan = subprocess.run(
        [AGENT, "service", "install", "--dry-run"], capture_output=True, text=True, check=True
    ).stdout
    unit = tmp_path / "zeek-agent.service"
    unit.write_text(plan.partition("\n")[2].rpartition("systemctl enable")[0])
    analyze = shutil.which("systemd-analyze")
    verified = subprocess.run(
        [analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        [analyze, "security", "--offline=yes", "--threshold=55", "--no-pager", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stdout[-400:]
