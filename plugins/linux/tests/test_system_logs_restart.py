"""Whole agents that start and end while messages are logged: none is lost, none comes twice."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from plugins.linux.tests.journald import Journald

CONFIG = """
[tables.system_logs_events]
directory = "{directory}"
{more}
"""


class Agent:
    """A process of its own that writes what it sees to a file; use as ``with``."""

    def __init__(self, home, config):
        self.home = home
        self.config = home / "agent.toml"
        self.config.write_text(config)
        self.output = home / "output.json"

    def __enter__(self):  # noqa: D105
        command = [sys.executable, "-m", "zeek_agent_core", "-c", str(self.config), "--local"]
        command += ["--output", "json", "--interval", "0.2"]
        state = {"ZEEK_AGENT_STATE_DIR": str(self.home / "state")}
        environment = os.environ | state | {"ZEEK_AGENT_RUN_DIR": str(self.home)}
        with self.output.open("ab") as output, (self.home / "errors").open("ab") as errors:
            self.process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment)
        self.until(lambda: self.said().count("system_logs_events is served by") > self.starts())
        return self

    def __exit__(self, *_):  # noqa: D105
        self.stop(signal.SIGTERM)

    def starts(self):
        """Return how often an agent has ended already."""
        return self.said().count("process terminated")

    def stop(self, sign):
        """End the agent; twice is fine."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        self.process.wait(20)

    def said(self):
        """Return what the agents have logged."""
        return (self.home / "errors").read_text()

    def messages(self):
        """Return the numbered messages that were seen, in order."""
        found = []
        for line in self.output.read_text().splitlines():
            try:
                message = json.loads(line)["columns"].get("message", "")
            except (ValueError, KeyError):
                continue
            if str(message).startswith("message "):
                found.append(int(message.removeprefix("message ")))
        return found

    def until(self, condition):
        """Wait for *condition*, briefly."""
        limit = time.monotonic() + 30
        while not condition():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < limit, (self.said(), self.messages()[-5:])
            time.sleep(0.02)


def send(journald, first, last):
    """Log numbered messages."""
    journald.send(*[{"MESSAGE": f"message {number}"} for number in range(first, last)])


@pytest.mark.parametrize("more", ["", 'source = "journalctl"'])
def test_restarts(tmp_path, more):
    """Over several restarts, with messages before, during and after each, every one comes once."""
    with Journald() as journald:
        config = CONFIG.format(directory=journald.directory, more=more)
        last = 0
        for number in range(3):
            with Agent(tmp_path, config) as agent:
                agent.until(lambda: len(agent.messages()) >= last)  # noqa: B023 - used at once
                send(journald, last, last + 200)
                last += 200
                if number == 2:
                    agent.until(lambda: len(agent.messages()) >= last)  # noqa: B023
            send(journald, last, last + 100)
            last += 100
        with Agent(tmp_path, config) as agent:
            agent.until(lambda: len(agent.messages()) >= last)
        assert agent.messages() == list(range(last))


def test_an_agent_that_is_killed(tmp_path):
    """After a kill nothing is missing; what was seen in the last second may come again."""
    with Journald() as journald:
        config = CONFIG.format(directory=journald.directory, more="")
        with Agent(tmp_path, config) as agent:
            send(journald, 0, 100)
            agent.until(lambda: len(agent.messages()) >= 100)
            agent.stop(signal.SIGKILL)
        send(journald, 100, 200)
        (tmp_path / "errors").write_text("")
        with Agent(tmp_path, config) as agent:
            agent.until(lambda: 199 in agent.messages())
        assert set(agent.messages()) == set(range(200))
