"""The hooks that plugins implement: few, synchronous, cheap."""

from collections.abc import Sequence

import pluggy

from zeek_agent_core.host import Host
from zeek_agent_core.table import Discovery, Table

PROJECT = "zeek_agent"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def zeek_agent_tables(host: Host) -> Sequence[Table]:
    """Return the tables to offer on *host*; none at all is a fine answer.

    Called once, before the database opens. Look whether a source exists, at
    most: no other I/O, no waiting, no background work.
    """
    raise NotImplementedError


@hookspec
def zeek_agent_discoveries(host: Host) -> Sequence[Discovery]:
    """Return what finds tables that come and go on *host* while the agent runs.

    Called once, like `zeek_agent_tables`, with the same rules.
    """
    raise NotImplementedError
