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
