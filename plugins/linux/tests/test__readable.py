"""Waiting for descriptors."""

import asyncio
import os

import pytest
from zeek_agent_linux._readable import Readable


@pytest.fixture
def pipe():
    """Return both ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


async def test_something_to_read(pipe):
    """The wait ends when there is something to read, and not before."""
    reader, writer = pipe
    task = asyncio.create_task(Readable([reader]).wait(0))
    await asyncio.sleep(0.05)
    assert not task.done()
    os.write(writer, b"x")
    await task


async def test_woken():
    """The wait ends when somebody wakes it, or it has been long enough; to wake is no harm."""
    readable = Readable([])
    readable.wake()
    task = asyncio.create_task(readable.wait(0, 0.05))
    await asyncio.sleep(0)
    assert not task.done()
    await asyncio.wait_for(task, 5)
    task = asyncio.create_task(readable.wait(0))
    await asyncio.sleep(0.05)
    assert not task.done()
    readable.wake()
    await asyncio.wait_for(task, 5)
    assert task.done()


async def test_cancelled(pipe):
    """After the wait was cancelled nothing is watched any more."""
    reader, _ = pipe
    task = asyncio.create_task(Readable([reader]).wait(0))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert not asyncio.get_running_loop().remove_reader(reader)


async def test_called_at_once(pipe):
    """Who wants to is called as soon as there is something to read, before the wait ends."""
    reader, writer = pipe
    found = []
    readable = Readable([reader], lambda: found.append(os.read(reader, 10)))
    os.write(writer, b"x")
    await readable.wait(0)
    assert found == [b"x"]
