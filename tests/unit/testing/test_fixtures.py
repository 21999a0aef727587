"""The fixtures that authors of tables use."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from zeek_agent_core.api import Column, Row, Snapshot, Type, Where
from zeek_agent_core.testing.conformance import check_table


class Words(Snapshot):
    """Words of a file."""

    name = "words"
    columns = (Column("word", Type.TEXT, "a word of the file"),)

    def rows(self, _where: Where) -> Iterator[Row]:
        """Yield the words."""
        for word in self.host.path("/words").read_text().split():
            yield {"word": word}


@pytest.fixture
def tables(host, tmp_path):
    """Offer `words` over a prepared root."""
    (tmp_path / "words").write_text("one two")
    return [Words(host(tmp_path))]


def test_sql_runs_over_the_tables_of_the_fixture(sql):
    """Without tables of its own, a statement reads those of `tables`."""
    assert sql("SELECT word FROM words") == [("one",), ("two",)]


def test_sql_runs_over_the_tables_given(sql, host, tmp_path):
    """Tables can be given with the statement."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "words").write_text("three")
    assert sql("SELECT word FROM words", Words(host(tmp_path / "other"))) == [("three",)]


def test_a_relative_root_lies_beside_the_test(host, request):
    """A relative root is found whatever the current directory is."""
    assert host("fixtures/words").root == request.path.parent / "fixtures/words"
    assert host(greeting="hello").settings == {"greeting": "hello"}


def test_the_kit_runs_in_a_plain_test(tables):
    """The kit needs no event loop of its caller."""
    check_table(tables[0])


def test_the_plugin_imports_nothing_heavy():
    """A pytest run without tables of ours does not pay for the agent."""
    code = (
        "import sys, zeek_agent_core.testing.fixtures; "
        "print(*{'apsw', 'asyncio', 'pluggy'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert "apsw" not in shown.stdout
