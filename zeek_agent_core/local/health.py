"""Whether an output works, told once each time that changes."""

import logging

from zeek_agent_core.errors import OutputError

log = logging.getLogger(__name__)


class Health:
    """State of one output; *task* completes the sentence `cannot ...`."""

    def __init__(self, task: str) -> None:
        """Begin as working, with nothing lost."""
        self.task = task
        self.lost = 0
        """Rows that could not be written, since the start."""
        self.error: OutputError | None = None
        """What is wrong now, if anything."""
        self._lost_before = 0
        self._errno: int | None = None

    def failed(self, error: OSError, rows: int) -> None:
        """Note that *error* happened and *rows* are lost; tell it if it is news."""
        if self.error is None:
            self._lost_before = self.lost
        self.lost += rows
        if self.error is None or self._errno != error.errno:
            reason = (error.strerror or str(error)).lower()
            self.error = OutputError(f"cannot {self.task}: {reason}")
            self._errno = error.errno
            log.error("%s", self.error)

    def works(self) -> None:
        """Note a success; tell it if it comes after a failure."""
        if self.error is not None:
            lost = self.lost - self._lost_before
            log.warning("can %s again; %d rows were lost", self.task, lost)
            self.error = None
