"""What a console needs of an agent, be it in this process or another."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol

from zeek_agent_core.query import Result, ResultColumn, ResultRow, Subscription


class Stream(Protocol):
    """The result of a statement that is under way."""

    @property
    def columns(self) -> tuple[ResultColumn, ...]:
        """Names and types; known before the first row."""

    @property
    def cpu_seconds(self) -> float:
        """Time the agent has worked for the statement; of a remote one known at its end."""

    def __aiter__(self) -> AsyncIterator[list[ResultRow]]:
        """Return batches of rows; raises `QueryError` where the statement fails."""

    def cancel(self) -> None:
        """Stop the statement; who iterates gets a `StoppedError`."""


class Backend(Protocol):
    """An agent that answers a console; all else a console shows, it asks by SQL."""

    def query(self, sql: str) -> AbstractAsyncContextManager[Stream]:
        """Run *sql* once; entering raises `QueryError` where it does not compile."""

    def subscribe(
        self, sql: str, subscription: Subscription, interval: timedelta
    ) -> AbstractAsyncContextManager[AsyncIterator[Result]]:
        """Run *sql* again and again; leaving the context cancels it.

        Entering raises `QueryError` where it does not compile. So does the
        iterator for a run that fails; asked again, it goes on with the next run.
        """

    async def terminate(self) -> None:
        """End the agent."""

    async def wait_closed(self) -> None:
        """Return once the agent is gone."""
