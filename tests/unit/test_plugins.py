"""Plugins are found one by one; what is wrong with one harms no other."""

import pytest

from tests.support import FRUITS, fruits, table
from zeek_agent_core.api import Column, Host, Type
from zeek_agent_core.errors import PluginError
from zeek_agent_core.plugins import check, find

GOOD = """
from zeek_agent_core.api import Column, Snapshot, Type, hookimpl

class Things(Snapshot):
    '''Things.'''
    name = "{table}"
    columns = (Column("name", Type.TEXT, "a name"),)

@hookimpl
def zeek_agent_tables(host):
    return [Things(host)]
"""
MISSPELT = """
from zeek_agent_core.api import hookimpl

@hookimpl
def zeek_agent_table(host):
    return []
"""
UNKNOWN_ARGUMENT = """
from zeek_agent_core.api import hookimpl

@hookimpl
def zeek_agent_tables(hots):
    return []
"""


def test_plugins_are_found_with_their_provider(install):
    """A table knows which plugin of which distribution provides it."""
    install("pack-one", "one_things", GOOD.format(table="things"))
    offered = find(Host()).tables["things"]
    assert str(offered.provider) == "one_things (pack-one 1.0)"
    assert offered.table.name == "things"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_module_anywhere", "cannot load plugin bad (pack-bad 1.0): ModuleNotFound"),
        ("1 / 0", "cannot load plugin bad (pack-bad 1.0): ZeroDivisionError"),
        ("def (", "cannot load plugin bad (pack-bad 1.0): SyntaxError"),
        ("raise SystemExit(3)", "cannot load plugin bad (pack-bad 1.0): SystemExit"),
        (MISSPELT, "plugin pack-bad:bad has an unknown hook zeek_agent_table"),
        (UNKNOWN_ARGUMENT, "cannot load plugin bad (pack-bad 1.0): PluginValidationError"),
        (GOOD.format(table="things").replace("[Things(host)]", "1 / 0"), "ZeroDivisionError"),
        (GOOD.format(table="things").replace("[Things(host)]", "exit(3)"), "SystemExit: 3"),
        (GOOD.format(table="things").replace("[Things(host)]", "[5]"), "neither a Snapshot nor"),
        (GOOD.format(table="Things"), "table name 'Things'"),
    ],
)
def test_a_bad_plugin_is_reported_and_skipped(install, caplog, source, message):
    """Whatever a plugin does wrong, the others are offered and the failure is told."""
    install("pack-bad", "bad", source)
    install("pack-good", "good", GOOD.format(table="good_things"))
    catalog = find(Host())
    assert "good_things" in catalog.tables
    mine = [failure for failure in catalog.failures if message in failure]
    assert len(mine) == 1
    assert message in caplog.text


def test_two_tables_of_one_name_name_both_providers(install):
    """The first table stays; the message names both providers and what to do."""
    install("pack-one", "a_one", GOOD.format(table="things"))
    install("pack-two", "b_two", GOOD.format(table="things"))
    catalog = find(Host())
    assert catalog.tables["things"].provider.distribution == "pack-one"
    (failure,) = [failure for failure in catalog.failures if "things" in failure]
    assert "a_one (pack-one 1.0)" in failure
    assert "b_two (pack-two 1.0)" in failure
    assert "block one of the two" in failure


@pytest.mark.parametrize("blocked", ["a_one", "pack-one", "things"])
def test_what_is_blocked_is_not_offered(install, blocked):
    """Plugins, distributions and tables can be blocked, quietly."""
    install("pack-one", "a_one", GOOD.format(table="things"))
    catalog = find(Host(), [blocked])
    assert "things" not in catalog.tables
    assert not [failure for failure in catalog.failures if "pack-one" in failure]


def test_blocking_one_of_two_solves_the_conflict(install):
    """With the first provider blocked, the second is offered."""
    install("pack-one", "a_one", GOOD.format(table="things"))
    install("pack-two", "b_two", GOOD.format(table="things"))
    catalog = find(Host(), ["pack-one"])
    assert catalog.tables["things"].provider.distribution == "pack-two"
    assert not [failure for failure in catalog.failures if "things" in failure]


def test_equal_plugin_names_of_two_distributions_both_count(install):
    """Two distributions may call their plugins the same."""
    install("pack-one", "one_m", GOOD.format(table="one_things"), plugin="same")
    install("pack-two", "two_m", GOOD.format(table="two_things"), plugin="same")
    assert {"one_things", "two_things"} <= set(find(Host()).tables)


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("Fruits", FRUITS, "table name 'Fruits'"),
        ("1fruits", FRUITS, "table name '1fruits'"),
        ("fruits; --", FRUITS, "table name"),
        ("fruits", (), "no columns"),
        ("fruits", (Column("Name", Type.TEXT, "a"),), "impossible column name 'Name'"),
        ("fruits", (Column("__a", Type.TEXT, "a"),), "impossible column name '__a'"),
        ("fruits", (FRUITS[0], FRUITS[0]), "two columns name"),
        ("fruits", (FRUITS[0], Column("a", Type.INT, "a", aliases=("name",))), "two columns name"),
    ],
)
def test_impossible_declarations_are_refused(name, columns, message):
    """Names that SQL or Zeek could not use are refused."""
    with pytest.raises(PluginError, match=message):
        check(table((), name, columns))


def test_possible_declarations_are_not():
    """A table that keeps the rules passes."""
    check(fruits())
