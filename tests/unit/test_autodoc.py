"""Tests of the schemas as JSON."""

import json

from zeek_agent_core import autodoc
from zeek_agent_core.host import Host
from zeek_agent_core.table import Column, Snapshot
from zeek_agent_core.tables.zeek_agent import ZeekAgent
from zeek_agent_core.values import Type


class Lines(Snapshot):
    """Lines of files.

    More.
    """

    name = "files_lines"
    platforms = ("linux",)
    columns = (
        Column("_most", Type.COUNT, "at most", default=5),
        Column("path", Type.TEXT, "file"),
    )


def test_layout():
    """Schemas have the older agent's layout: four spaces, sorted keys, columns in order."""
    text = autodoc.schemas([Lines(Host())])
    assert text.startswith('{\n    "tables": {\n        "files_lines": {\n            "columns"')
    assert json.loads(text)["tables"]["files_lines"] == {
        "columns": [
            {"default": "5", "is_parameter": True, "name": "_most", "summary": "at most",
             "type": "count"},
            {"default": None, "is_parameter": False, "name": "path", "summary": "file",
             "type": "text"},
        ],
        "description": "Lines of files.\n\nMore.",
        "platforms": ["linux"],
        "summary": "Lines of files.",
    }  # fmt: skip


def test_the_agent_itself():
    """The table of the agent has the thirteen columns that a hello is made of."""
    described = json.loads(autodoc.schemas([ZeekAgent(Host())]))
    assert len(described["tables"]["zeek_agent"]["columns"]) == 13
