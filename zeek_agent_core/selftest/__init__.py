"""``zeek-agent selftest``: tries all tables on this host, and tells what it saw."""

from zeek_agent_core.selftest.command import main

__all__ = ["main"]
