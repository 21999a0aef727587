"""The tables of the pack keep the rules that all tables keep."""

import asyncio
import json

import pytest
from zeek_agent_osquery._values import TYPES
from zeek_agent_osquery._watching import OsqueryTables
from zeek_agent_osquery.osquery import OsqueryQuery, as_json
from zeek_agent_osquery.osquery_status import OsqueryStatus

from zeek_agent_core.api import Host
from zeek_agent_core.testing.conformance import check_table


@pytest.fixture
def host(osquery):
    """Return a host whose osquery is the stand-in."""
    return Host(settings={"osquery": {"extensions_socket": osquery.path}})


@pytest.fixture
def discovery(host):
    """Return what finds the stand-in's tables."""
    made = OsqueryTables(host)
    yield made
    made.osquery.close()


def test_status(host):
    """The status conforms."""
    check_table(OsqueryStatus(host))


def test_whole_statements(host, discovery):
    """The table for statements of osquery's own conforms."""
    check_table(OsqueryQuery(host))


@pytest.mark.parametrize("name", ["osquery_listening_ports", "osquery_processes", "osquery_info"])
def test_tables_of_osquery(discovery, name):
    """A table that was found conforms."""
    tables = {table.name: table for table in discovery._look()}
    check_table(tables[name])


def test_rows_as_json():
    """Columns are in osquery's order, numbers are numbers, and what is none stays text."""
    row = {"name": 'é"', "size": "12", "share": "0.5", "none": "", "bad": "x", "more": "y"}
    kinds = {name: TYPES[kind] for name, kind in
             {"size": "BIGINT", "name": "TEXT", "share": "DOUBLE", "none": "INTEGER",
              "bad": "INTEGER", "absent": "TEXT"}.items()}  # fmt: skip
    shown = as_json(row, kinds)
    assert list(json.loads(shown).items()) == [
        ("size", 12), ("name", 'é"'), ("share", 0.5), ("none", None), ("bad", "x"), ("more", "y"),
    ]  # fmt: skip
    assert "é" in shown


def test_a_loop_that_has_ended(discovery):
    """An error that comes after the agent has ended wakes nobody."""
    asyncio.run(asyncio.sleep(0))
    discovery.osquery.alarm()
