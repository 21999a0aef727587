"""Records of the kernel's log."""

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import _kmsg

CAPTURED = b"6,339,5140900,-,caller=T1;NET: Registered PF_INET\\x0a protocol\n SUBSYSTEM=net\n"


def test_captured():
    """Severity, facility, number, time and text are read; escapes are undone."""
    expected = _kmsg.Record(6, 0, 339, 5140900, b"NET: Registered PF_INET\n protocol")
    assert _kmsg.parse(CAPTURED) == expected
    assert _kmsg.parse(b"30,1,2,-;user")[:2] == (6, 3)


@given(st.binary(max_size=60))
def test_nonsense(raw):
    """What is no record is an error, nothing else."""
    try:
        assert _kmsg.parse(raw).level < 8
    except ValueError:
        assert b";" not in raw or _kmsg._HEAD.match(raw) is None


def test_numbers_that_are_missing():
    """A gap in the numbers is what the kernel has overwritten; old records are passed over."""
    device, log = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with device, log:
        log.settimeout(0)
        kernel = _kmsg.Kmsg("/dev/null", 3)
        os.dup2(log.fileno(), kernel.descriptor)  # gives one record with each read, too
        for raw in (b"6,3,1,-;old", b"6,4,1,-;a", b"6,9,1,-;b", b"x"):
            device.send(raw)
        found = [(record and record.sequence, lost) for record, lost in kernel.read()]
        kernel.close()
    assert found == [(4, 0), (9, 4), (None, 1)]


@pytest.mark.parametrize("path", ["/no/such/log"])
def test_it_cannot_be_opened(path):
    """A log that is not there is an error with its name."""
    with pytest.raises(FileNotFoundError, match=path):
        _kmsg.Kmsg(path, None)
