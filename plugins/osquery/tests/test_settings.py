"""The settings that are described are those that there are, and a slip in one is told."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from zeek_agent_osquery._settings import SETTINGS

from zeek_agent_core import kernel
from zeek_agent_core.errors import ConfigError

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", ["osquery.md", "configuration.md"])
def test_every_setting_is_described(page):
    """Both pages list each key, in order, with its default."""
    section = (DOCS / page).read_text().partition("`extensions_socket` | ")[2]
    listed = re.findall(
        r"^\| `(\w+)` \| ([^|]+) \|", "| `extensions_socket` | " + section, re.MULTILINE
    )
    described = dict(listed[: len(SETTINGS)])
    assert list(described) == list(SETTINGS)
    for key, default in SETTINGS.items():
        shown = {"": "none", "osquery_": '`"osquery_"`', (): "`[]`"}.get(default)
        if isinstance(default, bool):
            shown = str(default).lower()
        assert described[key] == (shown or f"{default:g}")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"extension_socket": "/x"}, r"unknown key \[osquery\] extension_socket; did you mean"),
        ({"timeout": "5"}, r"'\[osquery\] timeout': write a number of seconds"),
        ({"max_rows": 0}, r"'\[osquery\] max_rows': it must be greater than 0"),
        ({"exclude": [1]}, r"'\[osquery\] exclude': write text in quotes, or a list"),
        ({"allow_queries": 1}, r"'\[osquery\] allow_queries': write true or false"),
    ],
)
async def test_slips(configured, given, message):
    """A wrong key or value in `[osquery]` is told before anything runs."""
    with pytest.raises(ConfigError, match=message):
        async with kernel.running(configured(**given)):
            pass


@pytest.mark.parametrize(
    ("given", "block"),
    [({"extensions_socket": ""}, ()), ({}, ("zeek-agent-osquery",))],
)
async def test_a_section_without_effect(configured, given, block, caplog):
    """Where nobody reads `[osquery]`, the log says so, and the agent runs."""
    config = replace(configured(**given), blocked=block)
    async with kernel.running(config) as agent:
        assert "osquery_status" not in agent.database.tables
    assert "section [osquery] has no effect: pack zeek-agent-osquery is not there" in caplog.text
