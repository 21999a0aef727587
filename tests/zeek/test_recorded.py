"""What a real Zeek says to an agent that joins; the recording is replayed where there is none."""

import os
import re

from tests.unit.zeek_scripts.recordings import RECORDED
from tests.zeek.conftest import OURS, RealZeek
from tests.zeek.scripted_agent import ScriptedAgent
from zeek_agent_core.broker.messages import CancelQuery

RECORD = "ZEEK_AGENT_RECORD"
"""Set to write the recording anew."""
SCRIPT = """
event cancel_it(id: string)
    { ZeekAgent::cancel(id); }
event row(ctx: ZeekAgent::Context, columns: ZeekAgent::Targets) { }
event zeek_init()
    {
    ZeekAgent::query([$sql_stmt="SELECT 'äöü' || char(7)", $event_=row, $cookie="c\\x07ook",
        $schedule_=90min, $subscription=ZeekAgent::Events]);
    local id = ZeekAgent::query([$sql_stmt="SELECT 2", $event_=row, $schedule_=1msec]);
    schedule 2sec { cancel_it(id) };
    }
"""


def plain(frame):
    """Return a frame without what differs from run to run."""
    frame = re.sub(r"(zeek|za|zx)_[A-Za-z0-9]+", r"\1_ID", frame)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+", "TIME", frame)


async def test_recording_is_what_zeek_says(start, tmp_path):
    """Zeek's messages are those of the recording, apart from ids and moments."""
    (tmp_path / "zeek").mkdir()
    zeek = start(
        RealZeek,
        "zeek",
        OURS.replace("2sec", "60sec").replace(
            "zeek-agent\n", "zeek-agent/framework\n@load zeek-agent/tables\n"
        )
        + SCRIPT,
    )
    async with ScriptedAgent(zeek, "H1") as agent:
        await agent.hello(addresses=("192.0.2.1",))
        await agent.wait(CancelQuery)
        frames = [frame for direction, frame in agent.frames if direction == "from"]
    release = ".".join(map(str, zeek.release))
    path = RECORDED / f"joining-{release}.jsonl"
    if os.environ.get(RECORD):
        path.write_text("\n".join(frames) + "\n")
    assert path.exists(), f"no recording for Zeek {release}; set {RECORD}=1 to make one"
    assert sorted(map(plain, frames)) == sorted(map(plain, path.read_text().splitlines()))
