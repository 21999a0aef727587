"""Commands of packs: found among the arguments, given what is theirs and a way to ask."""

import sys

import pytest

from zeek_agent_core import cli, subcommands

COMMAND = """
async def run(ask, arguments):
    ((agent,),) = await ask("SELECT id FROM zeek_agent")
    print(agent, *arguments)
    return 3
"""


@pytest.fixture
def greet(tmp_path, monkeypatch):
    """Install a distribution with the command `say-hello`."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ZEEK_AGENT_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "greeting.py").write_text(COMMAND)
    info = tmp_path / "pack_hello-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pack-hello\nVersion: 1.0\n")
    points = "[zeek_agent_commands]\nsay-hello = greeting:run\n"
    (info / "entry_points.txt").write_text(points)
    yield
    sys.modules.pop("greeting", None)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["say-hello"], ([], "say-hello", [])),
        (["-r", "say-hello", "--to", "x", "-v"], (["-r"], "say-hello", ["--to", "x", "-v"])),
        (["-e", "SELECT 1"], (["-e", "SELECT 1"], None, [])),
        (["-z", "some-host"], (["-z", "some-host"], None, [])),
    ],
)
def test_arguments_are_split(greet, arguments, expected):
    """What stands before the command is the agent's, what stands behind it its own."""
    assert subcommands.split(arguments) == expected


def test_a_command_runs(greet, capsys, monkeypatch):
    """A command is run with its arguments, asks the agent, and decides on the exit status."""
    monkeypatch.setenv("ZEEK_AGENT_AGENT_ID", "Hhello")
    assert cli.main(["say-hello", "--to", "world"]) == 3
    assert capsys.readouterr().out == "Hhello --to world\n"


def test_a_running_agent_can_be_asked(greet, tmp_path, capsys):
    """With `-r` it is the running agent that a command asks; without one the error says so."""
    assert cli.main(["-r", "-s", str(tmp_path / "none.sock"), "say-hello"]) == 1
    assert "none.sock" in capsys.readouterr().err
