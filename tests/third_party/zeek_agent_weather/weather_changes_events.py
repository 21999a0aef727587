"""``weather_changes_events``: when it gets warmer or colder."""

import asyncio
import random
from collections.abc import AsyncIterator

from zeek_agent_core.api import Column, Evented, Host, Row, Type, hookimpl

PAUSE_SECONDS = 0.05


class WeatherChangesEvents(Evented):
    """One row for each change of the temperature."""

    name = "weather_changes_events"
    columns = (
        Column("time", Type.TIME, "when it changed"),
        Column("by", Type.REAL, "the change, in degrees"),
    )
    examples = ("SELECT max(by) FROM weather_changes_events",)

    async def events(self) -> AsyncIterator[Row]:
        """Yield a change now and then."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            yield {"by": random.uniform(-1, 1)}


@hookimpl
def zeek_agent_tables(host: Host) -> list[WeatherChangesEvents]:
    """Offer the table everywhere."""
    return [WeatherChangesEvents(host)]
