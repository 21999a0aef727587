"""Tests of the agent's ids and of its version as a number."""

import re
from pathlib import Path

import pytest

from zeek_agent_core import identity
from zeek_agent_core.identity import agent_id, new_instance_id, random_text, version_number


def mode(path):
    """Return the permissions of a file."""
    return path.stat().st_mode & 0o777


def test_random_text():
    """Ids are 128 random bits in base 62."""
    made = {random_text() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch("[0-9a-zA-Z]{2,22}", text) for text in made)
    assert max(map(len, made)) == 22


def test_instance_ids_differ():
    """Each run of an agent has an id of its own."""
    assert new_instance_id() != new_instance_id()
    assert new_instance_id().startswith("I")


def test_id_is_kept(tmp_path):
    """An id is made once and found again, in a file that only its owner can read."""
    state = tmp_path / "a" / "b"
    made = agent_id(state)
    assert re.fullmatch("H[0-9a-zA-Z]{2,22}", made)
    assert agent_id(state) == made
    assert (state / "uuid").read_text() == made + "\n"
    assert mode(state / "uuid") == 0o600
    assert mode(state) == 0o700
    assert [path.name for path in state.iterdir()] == ["uuid"]


@pytest.mark.parametrize(
    "content",
    ["HaB3", "Hxxxxxxxxxxxxxxxxxxxxxx\n", "  H12345 \n", "123e4567-e89b-12d3-a456-426614174000\n"],
)
def test_forms_of_the_file(tmp_path, content):
    """An id and a UUID are both taken as they stand; the file is left alone."""
    path = tmp_path / "uuid"
    path.write_text(content)
    assert agent_id(tmp_path) == content.strip()
    assert path.read_text() == content


@pytest.mark.parametrize("content", ["", "\n", "nonsense", "H", "H\x00\x00", "I12345", "H" * 40])
def test_damaged_file(tmp_path, caplog, content):
    """A file without an id gets a new one, safely replaced, and a warning says so."""
    path = tmp_path / "uuid"
    path.write_text(content)
    path.chmod(0o644)
    made = agent_id(tmp_path)
    assert path.read_text() == made + "\n"
    assert agent_id(tmp_path) == made
    assert mode(path) == 0o600
    assert "holds no agent id" in caplog.text


def test_two_agents_at_once(tmp_path):
    """Of two agents that make an id at the same time both use the one that is kept."""
    first = identity._keep(tmp_path / "uuid", "Hfirst", is_new=True)
    second = identity._keep(tmp_path / "uuid", "Hsecond", is_new=True)
    assert (first, second) == ("Hfirst", "Hfirst")
    assert [path.name for path in tmp_path.iterdir()] == ["uuid"]


def test_state_directory_that_cannot_be(tmp_path, caplog):
    """Where nothing can be written the id lasts for one run, and a warning says why."""
    blocker = tmp_path / "file"
    blocker.write_text("")
    assert agent_id(blocker).startswith("H")
    assert "Not a directory" in caplog.text


def test_unwritable_state_directory(caplog):
    """A place where no directory can be made ends in a warning, not in a crash."""
    assert agent_id(Path("/proc/no/such")).startswith("H")
    assert "cannot keep the agent id in /proc/no/such/uuid" in caplog.text


def test_without_state_directory():
    """Without a place to keep it the id is made anew."""
    assert agent_id(None) != agent_id(None)


def test_failed_write_leaves_the_old_file(tmp_path):
    """A file that cannot be written in full stays as it was, and nothing is left behind."""
    path = tmp_path / "uuid"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        identity.write_private(path, "new \ud800")
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["uuid"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2.0.4", 200040000),
        ("v2.0.4", 200040000),
        ("2.0.4-123", 200040123),
        ("2.0.4-rc1-123", 200040123),
        ("2.0.4-rc1", 200040000),
        ("2.3.0-19", 203000019),
        ("3.0.0", 300000000),
        ("3.0.0rc1", 300000000),
        ("3.1.2.dev4+g12ab", 301020000),
    ],
)
def test_version_number(text, number):
    """A version is a number that grows with it; suffixes of Git and Python are understood."""
    assert version_number(text) == number


@pytest.mark.parametrize(
    "text", ["2.4", "v2.4-0", "", "1.2.3.4", "a.b.c", "1..2", "1.2.²", "1.2.3x"]
)
def test_no_version(text):
    """What has not three numbers is no version."""
    with pytest.raises(ValueError, match="not of the form"):
        version_number(text)
