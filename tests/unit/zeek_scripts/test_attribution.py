"""What attribution and the examples ask agents, as far as it can be checked without Zeek."""

import re

import pytest

from tests.unit.zeek_scripts.scripts import SCRIPTS, statements
from tools import generate, zeek_records
from zeek_agent_core.host import Host
from zeek_agent_core.mock import mock
from zeek_agent_core.sql.database import Database
from zeek_agent_core.table import Column
from zeek_agent_core.values import Type

NOT_HERE = {"process_events", "socket_events"} - set(generate.documented())
"""Tables that attribution uses and no pack has."""
ROOMS = SCRIPTS / "attribution/sources", SCRIPTS / "examples"
ASKED = [(path, name, sql) for room in ROOMS for path in sorted(room.glob("*.zeek"))
         for name, sql in statements(path).items()
         if not NOT_HERE & set(sql.split())]  # fmt: skip
RECORD = re.compile(r"\ttype (?:Columns|\w+Row): record \{\n(.*?)\n\t\};", re.DOTALL)
FIELD = re.compile(r"^\t\t(\w+): ([^&]+?) &optional", re.MULTILINE)
ARGUMENTS = {"%d": "22", "IN (%s)": "IN (22)", "lines(%s)": "lines('/etc/*')", "%s%%": "sshd%"}
"""What scripts fill in."""


@pytest.mark.parametrize(("path", "name", "sql"), ASKED, ids=lambda x: getattr(x, "stem", ""))
async def test_statement_gives_what_the_record_declares(path, name, sql):
    """The agent runs each statement, and its columns have the types of the record's fields."""
    for form, argument in ARGUMENTS.items():
        sql = sql.replace(form, argument)
    tables = {entry.table(Host()).name: mock(entry.table(Host()))
              for entry in generate.documented().values()}  # fmt: skip
    async with Database(list(tables.values())) as database:
        result = await database.execute(sql)
    fields = FIELD.findall(RECORD.search(path.read_text())[1])
    assert len(result.columns) == len(fields), name
    for column, (field, kind) in zip(result.columns, fields, strict=True):
        if column.type is not None and column.type is not Type.NULL:
            declared = Column(column.name, column.type, "", element=column.element)
            assert zeek_records.zeek_type(declared) == kind, field
