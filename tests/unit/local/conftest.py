"""Results to write, and a clock that tests turn by hand."""

import time

import pytest

from tests.unit.local.samples import NOON
from zeek_agent_core.local.pack import default_pack
from zeek_agent_core.local.rotate import Rotation


class Clock:
    """Tells the time that it was set to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands at noon."""
    return Clock()


@pytest.fixture
def rotation():
    """Return a maker of rotations in UTC, by default without limits."""

    def make(**limits) -> Rotation:
        limits = {"every": None, "local_time": time.gmtime} | limits
        return Rotation(**limits)

    return make


@pytest.fixture
def stock():
    """Return the query of the default pack that writes the log `zeek-agent-<name>`."""
    pack = {query.output: query for query in default_pack("linux")}
    return lambda name: pack[f"zeek-agent-{name}"]
