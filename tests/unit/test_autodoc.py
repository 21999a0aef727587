<<<<<<< HEAD
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
=======
"""Schemas as JSON."""

import json

from tests.support import Beats, echo, fruits
from zeek_agent_core.api import Column, Host, Type
from zeek_agent_core.autodoc import schemas


def test_a_schema_has_all_that_is_declared():
    """Names, types, descriptions, parameters and defaults are there, in the known format."""
    required = Column("_path", Type.TEXT, "a path")
    optional = Column("_count", Type.COUNT, "a count", default=3)
    found = schemas([echo(required, optional)])["tables"]["echo"]
    assert found == {
        "columns": [
            {
                "default": None,
                "is_parameter": False,
                "name": "shown",
                "summary": "the arguments",
                "type": "text",
            },
            {
                "default": None,
                "is_parameter": True,
                "name": "_path",
                "summary": "a path",
                "type": "text",
            },
            {
                "default": "3",
                "is_parameter": True,
                "name": "_count",
                "summary": "a count",
                "type": "count",
            },
        ],
        "description": "A table made for a test.",
        "platforms": ["darwin", "linux", "windows"],
        "summary": "A table made for a test.",
    }


def test_schemas_are_json_in_order_of_names():
    """Classes and tables are described alike, sorted by name."""
    found = schemas([fruits(), Beats, Beats(Host())])
    assert list(found["tables"]) == ["beats_events", "fruits"]
    assert json.loads(json.dumps(found)) == found
>>>>>>> kit
