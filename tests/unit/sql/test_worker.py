"""A thread that does one job after the other."""

import asyncio
import threading

import pytest

from zeek_agent_core.sql.worker import Worker


@pytest.fixture
def worker():
    """Return a worker that is closed after the test."""
    made = Worker("test")
    yield made
    made.close()
    assert made.join(5)


async def test_jobs_run_in_order(worker):
    """Results come back, in the order of the jobs, from another thread."""
    done = []
    worker.post(lambda: done.append("posted"))
    assert await worker.call(threading.get_ident) != threading.get_ident()
    assert done == ["posted"]


async def test_errors_reach_the_caller(worker):
    """A job's error is raised where it was asked for."""
    with pytest.raises(ZeroDivisionError):
        await worker.call(lambda: 1 // 0)


async def test_a_posted_job_that_fails_is_logged(worker, caplog):
    """An error that nobody waits for does not end the thread."""
    worker.post(lambda: 1 // 0)
    assert await worker.call(lambda: 7) == 7
    assert "a job of thread test failed" in caplog.text


async def test_a_cancelled_caller_leaves_the_job(worker):
    """The job goes on, its result is dropped."""
    release = threading.Event()
    task = asyncio.create_task(worker.call(lambda: release.wait(5)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    assert await worker.call(lambda: 7) == 7


async def test_abandoning_answers_everyone(worker):
    """Who waits is answered at once: the one whose job hangs, and those behind it."""
    release = threading.Event()
    tasks = [asyncio.create_task(worker.call(lambda: release.wait(5))) for _ in range(2)]
    await asyncio.sleep(0.05)
    assert worker.frame() is not None
    worker.abandon(TimeoutError("hangs"), ConnectionError("waits"))
    with pytest.raises(TimeoutError):
        await tasks[0]
    with pytest.raises(ConnectionError):
        await tasks[1]
    release.set()
