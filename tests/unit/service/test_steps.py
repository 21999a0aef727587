"""Steps that change the system."""

import stat

import pytest

from zeek_agent_core.errors import ServiceError
from zeek_agent_core.service.steps import Remove, Run, Write


def test_write_and_remove(tmp_path):
    """A file is written whole, readable by all; removing twice is fine."""
    path = tmp_path / "new" / "unit"
    Write(path, "text\n").do()
    assert path.read_text() == "text\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644 & ~_umask()
    assert list(path.parent.iterdir()) == [path]
    Remove(path).do()
    Remove(path).do()
    assert not path.exists()


def _umask():
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_write_tells_what_fails(tmp_path):
    """Where a file cannot be written the path and the reason are told."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match=r"cannot write .*/file/unit: "):
        Write(tmp_path / "file" / "unit", "").do()


def test_run():
    """A program that fails ends the plan with what it said, unless it may fail."""
    Run(("true",)).do()
    Run(("false",), may_fail=True).do()
    with pytest.raises(ServiceError, match=r"ls /no-such-dir failed: .*No such file"):
        Run(("ls", "/no-such-dir")).do()
    with pytest.raises(ServiceError, match="cannot find no-such-program"):
        Run(("no-such-program",)).do()
