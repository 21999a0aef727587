"""Tests of stopping tables that work without making rows."""

from itertools import repeat

import pytest

from zeek_agent_core.api import PAUSE, Column, Host, Snapshot, Type
from zeek_agent_core.errors import LimitError
from zeek_agent_core.limits import Limits
from zeek_agent_core.sql.database import Database


class Slow(Snapshot):
    """A table that pauses for ever after its first row."""

    name = "slow"
    columns = (Column("number", Type.COUNT, "1"),)

    def rows(self, where):
        """Yield one row between pauses."""
        yield PAUSE
        yield {"number": 1}
        yield from repeat(PAUSE)


async def test_pauses_are_no_rows():
    """A pause is skipped, and a query that has its rows asks for no more."""
    async with Database([Slow(Host())]) as db:
        assert (await db.execute("SELECT number FROM slow LIMIT 1")).rows == [(1,)]


async def test_pauses_let_a_query_be_stopped():
    """A query past its time ends at the next pause, its thread stays."""
    async with Database([Slow(Host())], limits=Limits(seconds=0.2)) as db:
        worker = db._worker
        with pytest.raises(LimitError, match="longer than"):
            await db.execute("SELECT number FROM slow")
        assert db._worker is worker
