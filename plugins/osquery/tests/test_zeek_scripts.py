"""The statements of the Zeek scripts on osquery's tables give what their records declare."""

import pytest
from zeek_agent_osquery._osquery import Osquery
from zeek_agent_osquery._table import declare

from plugins.osquery.tests.schema import TABLES
from tests.unit.zeek_scripts.scripts import SCRIPTS, records, statements
from tools import zeek_records
from zeek_agent_core.api import Column, Host, Type
from zeek_agent_core.mock import mock
from zeek_agent_core.sql.database import Database

SCRIPTS_OF_OSQUERY = sorted(
    path for path in (SCRIPTS / "osquery").glob("*.zeek") if statements(path)
)
ASKED = [(path, name, sql) for path in SCRIPTS_OF_OSQUERY for name, sql in statements(path).items()]


def tables():
    """Return osquery's tables as the agent offers them, and our own, with made-up rows."""
    from tools import generate

    host = Host()
    for name, columns in TABLES.items():
        routes = [{"name": c[0], "type": c[1], "op": str(c[2])} for c in columns]
        yield mock(declare(name, routes)(f"osquery_{name}")(host, Osquery(host)))
    for entry in generate.documented().values():
        if entry.table.name != "osquery":
            yield mock(entry.table(host))


@pytest.mark.parametrize(("path", "name", "sql"), ASKED, ids=lambda x: getattr(x, "stem", ""))
async def test_statements(path, name, sql):
    """The agent runs each statement, with as many columns as the record, of the same types."""
    async with Database(tables()) as database:
        result = await database.execute(sql)
    fields = records(path)["Columns"]
    assert len(result.columns) == len(fields), name
    for column, (field, kind) in zip(result.columns, fields, strict=True):
        if column.type not in (None, Type.NULL):
            declared = Column(column.name, column.type, "", element=column.element)
            assert zeek_records.zeek_type(declared) == kind, field


def test_all_scripts_are_here():
    """Each log of the scripts has a statement, which is checked above."""
    assert len(SCRIPTS_OF_OSQUERY) == 7
