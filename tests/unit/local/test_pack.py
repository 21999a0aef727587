"""The default pack, and queries from the configuration."""

from datetime import timedelta

import pytest

from zeek_agent_core.errors import ConfigError
from zeek_agent_core.local.pack import default_pack, pack_from_settings, query_from_settings
from zeek_agent_core.query import Subscription

EVENTED = {
    "zeek-agent-system-logs": {"system_logs_events"},
    "zeek-agent-processes-events": {"processes_events"},
    "zeek-agent-sockets-events": {"sockets_events"},
    "zeek-agent-file-events": {"files_events"},
}


def test_default_pack_repeats_every_half_minute():
    """All queries repeat every 30 seconds unless another interval is given."""
    assert {q.query.interval for q in default_pack("linux")} == {timedelta(seconds=30)}
    fast = default_pack("linux", interval=timedelta(seconds=1))
    assert {q.query.interval for q in fast} == {timedelta(seconds=1)}


def test_default_pack_subscribes_as_the_package_does():
    """What happens is events and needs its table; all else sends differences."""
    for own in default_pack("darwin"):
        is_evented = own.output in EVENTED
        wanted = Subscription.EVENTS if is_evented else Subscription.DIFFERENCES
        assert own.query.subscription is wanted
        assert own.query.requires_tables >= EVENTED.get(own.output, set())
        assert own.has_change is not is_evented


@pytest.mark.parametrize(
    ("platform", "home"), [("linux", "/home/"), ("darwin", "/Users/"), ("windows", None)]
)
def test_keys_are_looked_for_where_homes_are(platform, home):
    """The path of SSH keys depends on the platform, and Windows has none."""
    keys = [q.query.sql for q in default_pack(platform) if q.output.endswith("-keys")]
    assert [home in sql for sql in keys] == ([True] if home else [])


def test_own_query_takes_all_keys():
    """Each key of an entry ends up in the query."""
    own = query_from_settings(
        {
            "name": "admins",
            "sql": "SELECT name FROM users",
            "interval": 0.5,
            "subscription": "snapshot_plus_differences",
            "requires_tables": ["users"],
            "if_missing_tables": ["groups"],
            "output": "people",
        }
    )
    assert own.query.id == "admins"
    assert own.query.interval == timedelta(seconds=0.5)
    assert own.query.subscription is Subscription.SNAPSHOT_PLUS_DIFFERENCES
    assert own.query.requires_tables == {"users"}
    assert own.query.if_missing_tables == {"groups"}
    assert own.output == "people"
    assert own.columns == ()


def test_own_query_needs_only_name_and_sql():
    """Without more, a query sends snapshots every 30 seconds to a log of its name."""
    own = query_from_settings({"name": "admins", "sql": "SELECT 1"})
    assert (own.output, own.query.subscription) == ("admins", Subscription.SNAPSHOTS)
    assert own.query.interval == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"intervall": 3}, ["unknown key 'intervall'", 'did you mean "interval"?']),
        ({"zzz": 3}, ["unknown key 'zzz'", "use one of name, sql"]),
        ({"name": None}, ["name is missing", 'name = "..."']),
        ({"name": 7}, ["name is 7", "text in quotes"]),
        ({"name": "../x"}, ["name is '../x'", "a-z"]),
        ({"name": "Users"}, ["name is 'Users'", "a-z"]),
        ({"sql": None}, ['("users")', "sql is missing"]),
        ({"sql": "  "}, ["sql is empty"]),
        ({"interval": "30"}, ["interval is '30'", "number of seconds"]),
        ({"interval": True}, ["interval is True"]),
        ({"interval": -1}, ["interval is -1", "between 0 and"]),
        ({"interval": float("nan")}, ["interval is nan"]),
        ({"interval": float("inf")}, ["interval is inf"]),
        ({"interval": 10**400}, ["between 0 and"]),
        ({"subscription": "diferences"}, ["'diferences'", 'did you mean "differences"?']),
        ({"subscription": "x"}, ["use one of snapshots, differences"]),
        ({"interval": 0, "subscription": "events"}, ["interval 0", "nothing to compare with"]),
        ({"requires_tables": "users"}, ["requires_tables is 'users'", "list of table names"]),
        ({"if_missing_tables": [1]}, ["if_missing_tables is [1]"]),
        ({"output": "a/b"}, ["output is 'a/b'"]),
    ],
)
def test_wrong_entries_are_explained(change, words):
    """The error says what is wrong, in which query, and what to write instead."""
    entry = {"name": "users", "sql": "SELECT 1"} | change
    entry = {key: value for key, value in entry.items() if value is not None}
    with pytest.raises(ConfigError) as caught:
        query_from_settings(entry)
    for word in ["[[query]]", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("entries", [{"name": "x"}, "x", 3])
def test_settings_must_be_a_list(entries):
    """A single table, as `[query]` makes it, is an error that says so."""
    with pytest.raises(ConfigError, match=r"write"):
        pack_from_settings(entries)


def test_entry_must_be_a_table():
    """An entry that holds no settings is an error with its number."""
    with pytest.raises(ConfigError, match=r"number 1: settings are expected"):
        pack_from_settings(["SELECT 1"])


def test_names_must_differ():
    """A name that is taken, here or in the pack beside, is an error with the entry's number."""
    entry = {"name": "x", "sql": "SELECT 1"}
    with pytest.raises(ConfigError, match=r'number 2: name "x" is taken'):
        pack_from_settings([entry, entry])
    stock = {"name": "zeek-agent-users", "sql": "SELECT 1"}
    with pytest.raises(ConfigError, match="taken"):
        pack_from_settings([stock], beside=default_pack("linux"))


def test_outputs_must_differ():
    """Two queries cannot share a log, as their columns would not fit."""
    entries = [{"name": n, "sql": "SELECT 1", "output": "log"} for n in ("a", "b")]
    with pytest.raises(ConfigError, match=r'output "log" is that of query "a"'):
        pack_from_settings(entries)


def test_pack_keeps_the_order_of_entries():
    """Queries come in the order in which they are configured."""
    entries = [{"name": n, "sql": "SELECT 1"} for n in ("b", "a")]
    assert [q.query.id for q in pack_from_settings(entries)] == ["b", "a"]
