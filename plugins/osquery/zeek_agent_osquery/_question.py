"""A question to osquery that a statement asks once, and waits for without holding up others."""

from collections.abc import Callable, Generator, Iterator
from typing import Any

from zeek_agent_core.api import PAUSE, Row, TableError, WaitingError, Where
from zeek_agent_osquery._binary import Response
from zeek_agent_osquery._errors import OsqueryError

KEPT = "osquery"


class Question:
    """A question under way, or its answer."""

    def __init__(self, asking: Iterator[Response | None]) -> None:
        """Take over what asks."""
        self._asking = asking
        self.rows: list[Any] | None = None
        self.error: OsqueryError | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is an answer, or an error."""
        return self.rows is not None or self.error is not None

    def wait(self, _seconds: float = 0.0) -> bool:
        """Wait a moment for the answer, one of `_osquery.SLICE`; return whether it is over."""
        if not self.is_over:
            try:
                answer = next(self._asking)
                if answer is not None:
                    self.rows = answer.rows
            except OsqueryError as error:
                self.error = error
        return self.is_over


def answered(
    table: str, where: Where, most: int, key: str, ask: Callable[[], Iterator[Response | None]]
) -> Generator[Row, None, list[Any]]:
    """Return the rows that *ask* brings, or those that the statement has had for *key*.

    Yields `PAUSE` while it waits. Answers of up to *most* rows, all together,
    are kept until the statement ends.
    """
    questions: dict[str, Question] = where.kept.setdefault(KEPT, {})
    question = questions.get(key)
    if question is None:
        question = questions[key] = Question(ask())
    while not question.wait():
        if where.may_wait:
            raise WaitingError(question.wait)
        yield PAUSE
    if question.error is not None:
        raise TableError(table, str(question.error)) from question.error
    if sum(len(known.rows or ()) for known in questions.values()) > most:
        del questions[key]
    return question.rows or []
