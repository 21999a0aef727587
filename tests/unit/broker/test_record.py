"""Tests of the audit's file."""

from pathlib import Path

import pytest

from zeek_agent_core.broker.record import Record
from zeek_agent_core.errors import OutputError


def test_appends_for_its_owner_only(tmp_path):
    """Lines are appended to what is there, in a file that only its owner reads."""
    path = tmp_path / "new" / "audit.log"
    for line in ("one", "two \udc80"):
        with Record(path) as record:
            record.write([line])
    assert path.read_text() == "one\ntwo \\udc80\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_follows_rotation(tmp_path):
    """A file that is moved away is replaced by a new one."""
    path = tmp_path / "audit.log"
    with Record(path) as record:
        record.write(["one"])
        path.rename(tmp_path / "old")
        record.write(["two"])
    assert path.read_text() == "two\n"


def test_cannot_be_opened(tmp_path):
    """A record that cannot be kept is an error at the start."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"), Record(tmp_path / "file" / "audit.log"):
        pass


def test_full_disk(caplog):
    """What cannot be written is counted and told once, and does no harm."""
    with Record(Path("/dev/full")) as record:
        record.write(["one", "two"])
        record.write(["three"])
        assert record.lost == 3
    assert len(caplog.records) == 1
