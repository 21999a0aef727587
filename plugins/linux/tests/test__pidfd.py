"""IDs of processes by descriptor."""

import os
import platform

import pytest
from zeek_agent_linux import _pidfd

VERSION = tuple(map(int, platform.release().split("-")[0].split(".")[:2]))


@pytest.mark.skipif(VERSION < (6, 13), reason="needs Linux 6.13")
def test_own_ids():
    """The kernel tells the IDs of this process."""
    assert _pidfd.read_ids(os.getpid()) == (os.getuid(), os.geteuid(), os.getgid(), os.getegid())
    assert _pidfd.is_usable("/proc")


def test_captured_processes_are_others(tmp_path):
    """It is not used for a /proc that is not ours."""
    assert not _pidfd.is_usable(str(tmp_path))
