"""The Zeek scripts, as far as they can be checked without Zeek."""

import re

import pytest

from tests.unit.zeek_scripts.scripts import ROOT, SCRIPTS, TABLES, examples, records, statements
from tools import generate, zeek_records, zeek_scripts
from zeek_agent_core.host import Host
from zeek_agent_core.local import pack
from zeek_agent_core.mock import mock
from zeek_agent_core.sql.database import Database
from zeek_agent_core.table import Column
from zeek_agent_core.values import Type

ASKED = [(path, name, sql) for path in TABLES for name, sql in statements(path).items()]
LOCAL = {query.output: query for query in pack.default_pack("linux")}
LOGS = {
    found: path
    for path in TABLES
    for found in re.findall(r'"(zeek-agent-[a-z-]+)"', path.read_text())
}


@pytest.mark.parametrize("path", sorted(SCRIPTS.rglob("*.zeek")), ids=lambda p: p.stem)
def test_script_is_parsed_and_formatted(path):
    """Every script follows Zeek's grammar and has the form that zeekscript gives it."""
    assert zeek_scripts.formatted(path) == path.read_bytes()


@pytest.mark.parametrize("text", examples())
def test_examples_of_the_documentation_are_parsed(text, tmp_path):
    """The examples follow Zeek's grammar."""
    script = zeek_scripts.Script(str(tmp_path / "example.zeek"))
    (tmp_path / "example.zeek").write_text(text)
    assert script.parse(), script.get_error()


@pytest.mark.parametrize(("path", "name", "sql"), ASKED, ids=lambda x: getattr(x, "stem", ""))
async def test_statement_gives_what_the_record_declares(path, name, sql):
    """The agent runs each statement, and its columns have the types of the record's fields."""
    host = Host()
    tables = [mock(entry.table(host)) for entry in generate.documented().values()]
    async with Database(tables) as database:
        result = await database.execute(sql.replace("%s", "/etc/*"))
    fields = records(path)["Columns"]
    if "*" in sql or "%s" in sql:
        assert len(result.columns) >= len(fields)
    else:
        assert len(result.columns) == len(fields), name
    for column, (field, kind) in zip(result.columns, fields, strict=False):
        if column.type is not None and column.type is not Type.NULL:
            declared = Column(column.name, column.type, "", element=column.element)
            assert zeek_records.zeek_type(declared) == kind, field
        if column.name.isidentifier() and column.name not in {"NULL", "name", "count"}:
            assert zeek_records.zeek_name(column.name) == field


@pytest.mark.parametrize("log", sorted(LOGS))
def test_local_mode_writes_the_same_logs(log):
    """Without a Zeek, each log comes from the same statement and has the same columns."""
    own, path = LOCAL[log], LOGS[log]
    if constant := statements(path).get("statement"):
        assert own.query.sql == constant
    kept = [(c.name, zeek_records.zeek_type(Column("", c.type, "", element=c.element)))
            for c in own.columns if c.part is None]  # fmt: skip
    found = records(path)
    wanted = found.get("Columns") or found["ColumnsKeys" if "keys" in log else "ColumnsConfigs"]
    assert kept == [field for field in wanted if field[1] != "ConfigOption"]


def test_package_says_the_version_of_the_agent():
    """`zkg.meta`, the script that greets agents and the agent have one version."""
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[
        1
    ]
    assert f"version = {version}\n" in (ROOT / "zkg.meta").read_text()
    main = (SCRIPTS / "framework/main.zeek").read_text()
    assert f'const package_version = "{version}"' in main


def test_only_one_script_asks_for_the_version_of_zeek():
    """Differences between releases of Zeek stand in one file."""
    asking = [p.name for p in SCRIPTS.rglob("*.zeek") if "@if" in p.read_text()]
    assert asking == ["versions.zeek"]
