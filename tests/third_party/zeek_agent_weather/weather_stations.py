"""``weather_stations``: what the stations in a directory say."""

from collections.abc import Iterator

from zeek_agent_core.api import (
    EQ,
    PREFIX,
    Column,
    Host,
    Row,
    Snapshot,
    Type,
    Where,
    hookimpl,
    text,
)

DIRECTORY = "/var/lib/weather"


class WeatherStations(Snapshot):
    """Weather stations of this host, one row per station.

    A station is a file below `/var/lib/weather` whose first line is the
    temperature.
    """

    name = "weather_stations"
    columns = (
        Column("name", Type.TEXT, "name of the station", pushdown=EQ | PREFIX),
        Column("temperature", Type.REAL, "temperature, in degrees of `_unit`"),
        Column("_unit", Type.TEXT, "`celsius` or `fahrenheit`", default="celsius"),
    )
    examples = (
        "SELECT name FROM weather_stations WHERE temperature > 30",
        "SELECT name, temperature FROM weather_stations('fahrenheit')",
    )

    def rows(self, where: Where) -> Iterator[Row]:
        """Yield the stations, in the order of their names."""
        is_fahrenheit = where.parameters["_unit"] == "fahrenheit"
        directory = self.host.path(DIRECTORY)
        names = where.values("name")
        files = [directory / str(name) for name in names] if names else directory.iterdir()
        for file in sorted(files):
            try:
                degrees = float(text(file.read_bytes()).split()[0])
            except (OSError, ValueError, IndexError):
                self.warn(f"cannot read station {file.name}")
                continue
            shown = degrees * 9 / 5 + 32 if is_fahrenheit else degrees
            yield {"name": file.name, "temperature": shown}


@hookimpl
def zeek_agent_tables(host: Host) -> list[WeatherStations]:
    """Offer the table; without stations it has no rows."""
    return [WeatherStations(host)] if host.path(DIRECTORY).is_dir() else []
