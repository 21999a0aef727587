"""The state of auditing, as the kernel tells and takes it."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._audit.status import Status, parse_status, status_request


def test_only_what_is_named_is_set():
    """The mask says which fields count."""
    request = status_request(pid=9, backlog_limit=8192, backlog_wait_time=0, enabled=1)
    assert parse_status(request) == Status(mask=0x35, enabled=1, pid=9, backlog_limit=8192)
    assert parse_status(status_request(pid=0)).mask == 4


def test_older_kernels_tell_less():
    """Fields that are not there are 0."""
    raw = struct.pack("=9I", 0, 1, 1, 77, 0, 64, 3, 2, 1)
    status = parse_status(raw)
    assert (status.pid, status.lost, status.has_wait_time) == (77, 3, False)


@given(st.binary(max_size=100))
def test_any_answer_is_read(raw):
    """Whatever its length, an answer is a status."""
    assert isinstance(parse_status(raw), Status)
