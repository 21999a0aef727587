"""BPF where it works; where it does not, the reason, told once."""

import errno
import logging
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from zeek_agent_core.api import Host
from zeek_agent_linux._bpf.kernel import Kernel, is_meant, kernel_of

log = logging.getLogger(__name__)

REST_SECONDS = 600.0
"""After a failure BPF is left alone for this time."""


class Closable(Protocol):
    """Something that holds descriptors."""

    def close(self) -> None:
        """Let go of them."""


T = TypeVar("T", bound=Closable)


class Choice(Generic[T]):
    """A part of a table that works through BPF, once it is needed and if it can."""

    def __init__(
        self,
        what: str,
        host: Host,
        start: Callable[[Kernel], T],
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the part with *start*, which raises `OSError` where it does not work."""
        self._what = what
        self._host = host
        self._start = start
        self._warn = warn
        self._clock = clock
        self._part: T | None = None
        self._rests_until = 0.0
        self._reason: str | None = None
        self._is_meant = is_meant(host)

    @property
    def is_at_work(self) -> bool:
        """Whether BPF served last."""
        return self._part is not None

    def part(self) -> T | None:
        """Return what works through BPF, None if nothing does."""
        if self._part is None and self._is_meant and self._clock() >= self._rests_until:
            try:
                kernel = kernel_of(self._host)
                self._part = self._start(kernel)
                kernel.save()
                self._reason = None
            except OSError as error:
                self.failed(error)
        return self._part

    def failed(self, error: OSError) -> None:
        """Do without BPF for a while, because of *error*."""
        self.close()
        self._rests_until = self._clock() + REST_SECONDS
        reason = reason_of(error)
        if reason != self._reason:
            self._reason = reason
            self._warn(f"does without BPF: {reason}")
            log.info("%s does without BPF: %s", self._what, reason)

    def close(self) -> None:
        """Let go of everything in the kernel."""
        if self._part is not None:
            self._part.close()
            self._part = None


def explained(error: OSError) -> OSError:
    """Return an error whose text is what people should read."""
    return OSError(error.errno or errno.EOPNOTSUPP, reason_of(error))


def reason_of(error: OSError) -> str:
    """Return what people should read; a plain refusal is mostly for want of privileges."""
    text = error.strerror or str(error)
    if error.errno == errno.EPERM:
        return f"{text}; it needs CAP_BPF and CAP_PERFMON (or root), and no lockdown"
    return text
