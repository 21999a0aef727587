"""An agent hears what real Zeeks with this package said, from recordings."""

import pytest

from tests.unit.broker.zeeks import Talk
from tests.unit.zeek_scripts.recordings import RECORDED
from tools import generate
from zeek_agent_core.broker import codec
from zeek_agent_core.broker.actions import Cancel, Install, Log, Publish
from zeek_agent_core.broker.transport import Event
from zeek_agent_core.host import Host
from zeek_agent_core.mock import mock
from zeek_agent_core.sql.database import Database


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.jsonl")), ids=lambda path: path.stem)
async def test_all_that_zeek_asks_is_understood(path):
    """Each query is installed and compiles, the cancelled one ends, nobody complains."""
    talk = Talk(agent_id="H1")
    peer = codec.peer("x-websocket-1", path.stem.rpartition("-")[2])
    talk.connect(peer)
    orders = []
    for frame in path.read_bytes().splitlines():
        message = codec.decode_frame(frame, codec.rules_for(peer))
        assert isinstance(message, Event)
        orders += talk.did(talk.session.received(message, talk.now))
    installed = [order.query for order in orders if isinstance(order, Install)]
    assert len(installed) == len({query.id for query in installed}) > 15
    assert len([order for order in orders if isinstance(order, Cancel)]) == 1
    assert not [o for o in orders if isinstance(o, Log) and o.level != "debug"], orders
    assert not [o for o in orders if isinstance(o, Publish) and "error" in o.event]
    host = Host()
    tables = [mock(entry.table(host)) for entry in generate.documented().values()]
    async with Database(tables) as database:
        for query in installed:
            await database.prepare(query.sql)


def test_recordings_exist():
    """There is at least one recording, or nothing would be replayed."""
    assert list(RECORDED.glob("*.jsonl"))
