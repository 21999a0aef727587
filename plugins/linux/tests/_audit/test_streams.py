"""Streams of records: the socket of auditd's dispatcher, played by a test."""

import socket
from contextlib import closing

import pytest
from zeek_agent_linux._audit.streams import LONGEST_LINE, Dispatcher

from zeek_agent_core.api import TableError

STAMP = "1700000000.123:77"
LINES = (
    b'node=web-1 type=CWD msg=audit(1700000000.123:77): cwd="/"\x1dCWD="/"\n'
    b"node=web-1 type=EOE msg=audit(1700000000.123:77): \n"
)
RECORDS = [(1307, STAMP, 'cwd="/"'), (1320, STAMP, "")]


@pytest.fixture
def dispatcher(tmp_path):
    """Return both ends of a connection: ours, and that of the dispatcher."""
    path = str(tmp_path / "events")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        stream = Dispatcher(path)
        with closing(stream), listener.accept()[0] as peer:
            yield stream, peer


def test_lines_are_records(dispatcher):
    """Each line is a record, without what auditd adds to it."""
    stream, peer = dispatcher
    taken = []
    peer.sendall(LINES)
    assert stream.drain(taken.append, 100) == 2
    assert taken == RECORDS
    assert stream.drain(taken.append, 100) == 0


@pytest.mark.parametrize("cut", [1, 20, 59, 60, 61])
def test_lines_may_come_in_pieces(dispatcher, cut):
    """A line may end in another packet than it began in."""
    stream, peer = dispatcher
    taken = []
    for piece in (LINES[:cut], LINES[cut:]):
        peer.sendall(piece)
        stream.drain(taken.append, 100)
    assert taken == RECORDS


def test_noise_between_lines_is_passed_over(dispatcher):
    """Lines that are no records cost only themselves."""
    stream, peer = dispatcher
    taken = []
    peer.sendall(b"\n\xff\xfe\ntype=\n" + LINES + b"\r\n")
    stream.drain(taken.append, 100)
    assert taken == RECORDS


def test_the_end_of_the_connection_is_an_error(dispatcher):
    """When auditd ends, what it sent before is still read; then the reader is told."""
    stream, peer = dispatcher
    taken = []
    peer.sendall(LINES)
    peer.close()
    with pytest.raises(TableError, match="closed the connection"):
        stream.drain(taken.append, 100)
    assert taken == RECORDS


@pytest.mark.parametrize("noise", [b"\0\0\x01\0\n", b"x" * (LONGEST_LINE + 70_000)])
def test_the_binary_format_is_refused(dispatcher, noise):
    """A dispatcher that sends no text is an error that says what to change."""
    stream, peer = dispatcher
    peer.settimeout(0)

    def pass_on(noise):
        while noise:
            noise = noise[peer.send(noise) :]
            stream.drain(len, 100)

    with pytest.raises(TableError, match="format `string`"):
        pass_on(noise)


def test_nobody_there_is_an_error(tmp_path):
    """A socket that does not answer leaves nothing open."""
    with pytest.raises(OSError, match="No such file"):
        Dispatcher(str(tmp_path / "nothing"))
