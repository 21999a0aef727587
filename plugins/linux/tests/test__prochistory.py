"""Who processes were, from the events of the real kernel."""

import asyncio
import os
import threading

from zeek_agent_linux._prochistory import History

from zeek_agent_core.api import Host


async def test_process_that_has_ended(act):
    """A process that lived for less than a millisecond is still known by its user and parent."""
    with History(Host()) as history:
        await history.fill()
        pid, _, _ = await act("as", 12345, 54321)
        history.refresh()
        found = history.find(pid)
        assert found is not None
        assert history.find(pid, (found.started or 0) - 1) is None  # before it began
        assert history.find(pid, found.started) is found
    assert (found.uid, found.gid, found.ppid) == (12345, 54321, os.getpid())
    assert found.started is not None
    assert found.ended is not None
    assert history.lost == 0


async def test_living_process(actor):
    """A process from before, one from after, and their threads are known."""
    before = await asyncio.create_subprocess_exec(actor, "sleep", "30000", user=1234)
    with History(Host()) as history:
        await history.fill()
        after = await asyncio.create_subprocess_exec(actor, "sleep", "30000", user=4321)
        history.refresh()
        users = [history.find(p.pid).uid for p in (before, after)]
        threads = [thread.native_id for thread in threading.enumerate()]
        assert {history.find(thread).pid for thread in threads} == {os.getpid()}
    for process in (before, after):
        process.kill()
        await process.wait()
    assert users == [1234, 4321]
