"""The tables of the example pack, tested as their author would."""

import pytest
from zeek_agent_weather.weather_changes_events import WeatherChangesEvents
from zeek_agent_weather.weather_stations import WeatherStations, zeek_agent_tables

from zeek_agent_core.testing.conformance import check_table


@pytest.fixture
def tables(host, tmp_path):
    """Offer the table over a directory with two good stations and a bad one."""
    stations = tmp_path / "var/lib/weather"
    stations.mkdir(parents=True)
    (stations / "harbour").write_text("21.5\n")
    (stations / "summit").write_text("-4\n")
    (stations / "broken").write_text("warm\n")
    return [WeatherStations(host(tmp_path))]


def test_stations(sql):
    """Each readable file is a station."""
    assert sql("SELECT * FROM weather_stations") == [("harbour", 21.5), ("summit", -4.0)]


def test_fahrenheit(sql):
    """The parameter chooses the unit."""
    assert sql("SELECT temperature FROM weather_stations('fahrenheit') WHERE name = 'summit'") == [
        (24.8,)
    ]


def test_a_broken_station_is_a_warning(sql, tables):
    """A file that cannot be read is counted, the others are shown."""
    sql("SELECT * FROM weather_stations")
    assert tables[0].warnings == 1


def test_changes(sql, host):
    """Events that are held can be queried."""
    changes = WeatherChangesEvents(host())
    held = {changes.name: [{"time": 1, "by": 0.5}]}
    assert sql("SELECT by FROM weather_changes_events", changes, events=held) == [(0.5,)]


def test_both_conform(tables, host):
    """The kit finds nothing to complain of."""
    check_table(tables[0])
    check_table(WeatherChangesEvents(host()))


def test_without_stations_nothing_is_offered(host, tmp_path):
    """A host without the directory has no such table."""
    assert zeek_agent_tables(host(tmp_path)) == []
