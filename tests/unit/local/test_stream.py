"""Lines to streams that may fail."""

import io
import os
from pathlib import Path

import pytest

from zeek_agent_core.errors import OutputError
from zeek_agent_core.local.stream import LineStream


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_full_stream_is_told_once(caplog):
    """Lines for a stream that takes nothing are counted, and the reason is told once."""
    with open("/dev/full", "w") as full:  # noqa: PTH123
        lines = LineStream(full)
        lines.write("a\nb\n")
        lines.write("c\n")
    assert lines.health.lost == 3
    assert caplog.messages == ["cannot write to /dev/full: no space left on device"]


def test_cut_line_is_completed(tmp_path, caplog):
    """After a failure the line that was cut gets its end before the next one begins."""
    import signal

    resource = pytest.importorskip("resource")

    path = tmp_path / "out"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with path.open("w") as stream:
            lines = LineStream(stream)
            resource.setrlimit(resource.RLIMIT_FSIZE, (6, before[1]))
            lines.write("aaaa\nbbbb\ncccc\n")
            lines.write("dddd\n")
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            lines.write("eeee\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_text() == "aaaa\nbbbb\neeee\n"
    assert lines.health.lost == 2
    assert "file too large" in caplog.messages[0]
    assert caplog.messages[1].endswith("again; 2 rows were lost")


def test_reader_that_went_ends_it():
    """When the reader of a pipe has gone, there is no point in going on."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream, pytest.raises(OutputError, match="reader has gone"):
        LineStream(stream).write("a\n")


def test_stream_that_does_not_block_is_waited_for():
    """A slow reader gets all lines even if the stream does not block."""
    import threading

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    got = []

    def read():
        with os.fdopen(reader, "rb") as stream:
            got.append(stream.read())

    thread = threading.Thread(target=read)
    with os.fdopen(writer, "w") as stream:
        thread.start()
        LineStream(stream).write("x" * 99 + "\n" + "y" * 1_000_000 + "\n")
    thread.join()
    assert len(got[0]) == 1_000_101


def test_text_that_was_written_before_comes_first(tmp_path):
    """What others have in the stream's buffer keeps its place."""
    path = tmp_path / "out"
    with path.open("w") as stream:
        stream.write("first\n")
        LineStream(stream).write("second\n")
    assert path.read_text() == "first\nsecond\n"


def test_stream_without_descriptor():
    """A stream in memory gets text, in what its encoding can show."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    LineStream(stream).write("é\n")
    assert raw.getvalue() == b"\\xe9\n"
