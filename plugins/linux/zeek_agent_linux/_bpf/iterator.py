"""Programs that the kernel runs for each process, or each open file, when it is asked."""

import errno
import os
import threading
from types import TracebackType
from typing import Self

from zeek_agent_linux._bpf import syscall
from zeek_agent_linux._bpf.descriptors import Descriptors

READ = 1 << 16
"""The kernel gives up to 32 KiB at a time."""


class Iterator:
    """A loaded iterator; each `read` is one pass over all there is."""

    def __init__(self, name: str, code: bytes, target: int, flags: int = 0) -> None:
        """Load *code* for *target*, the number of `bpf_iter_...` in BTF; raises `OSError`."""
        self.name = name
        self._lock = threading.Lock()
        self._files = Descriptors()
        program = self._files.add(syscall.load(name, code, syscall.ITERATOR, target, flags))
        try:
            self._link = self._files.add(syscall.attach_iterator(program))
        except OSError:
            self._files.close()
            raise

    def read(self) -> bytes:
        """Return all that the program wrote in one pass; `OSError` if this is closed."""
        with self._lock:
            return self._pass()

    def _pass(self) -> bytes:
        if self._link < 0:
            raise OSError(errno.EBADF, f"the iterator {self.name} is closed")
        file = syscall.create_iterator(self._link)
        try:
            parts: list[bytes] = []
            while True:
                try:
                    part = os.read(file, READ)
                except BlockingIOError:
                    continue  # a long stretch without output
                if not part:
                    return b"".join(parts)
                parts.append(part)
        finally:
            os.close(file)

    def close(self) -> None:
        """Let go of everything in the kernel once no thread reads; twice is fine."""
        with self._lock:
            self._files.close()
            self._link = -1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()
