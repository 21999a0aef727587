"""What is known of the running kernel: where its types have what, and whether BPF may be used.

To look through all types takes 50 ms, so each answer is kept, in the agent's
state directory too, under the kernel's release and version.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Any

from zeek_agent_core.api import Host
from zeek_agent_linux._bpf import btf, syscall
from zeek_agent_linux._bpf.btf import Btf, Member
from zeek_agent_linux._pidns import check_initial

CACHE = "bpf-offsets.json"


class MissingError(OSError):
    """A type, member or function that this kernel does not have."""


class Kernel:
    """Answers about one kernel's types; opens BTF at the first question without a known answer."""

    def __init__(self, state: Path | None = None, path: str = btf.VMLINUX) -> None:
        """Keep answers in the directory *state* too, if there is one."""
        self._path = path
        self._cache = None if state is None else state / CACHE
        self._identity = f"{os.uname().release} {os.uname().version}"
        self._btf: Btf | None = None
        self._numbers: dict[tuple[int, str], int | None] = {}
        self._known: dict[str, Any] = self._read()
        self._is_new = False
        self._lock = RLock()  # tables ask in several threads

    def member(self, struct: str, path: str) -> Member:
        """Return where a member of a struct lies; `MissingError` if there is none."""
        found = self._answer(f"{struct}.{path}", lambda: self._look_up(struct, path))
        if found is None:
            raise MissingError(f"the kernel has no {struct}.{path}")
        return Member(*found)

    def has(self, struct: str, path: str) -> bool:
        """Return whether a struct has a member."""
        return self._answer(f"{struct}.{path}", lambda: self._look_up(struct, path)) is not None

    def size(self, struct: str) -> int:
        """Return the size of a struct in bytes."""

        def look_up() -> int | None:
            number = self._number(btf.STRUCT, struct)
            return None if number is None else self._types().size(number)

        found: int | None = self._answer(f"sizeof {struct}", look_up)
        if found is None:
            raise MissingError(f"the kernel has no struct {struct}")
        return found

    def function(self, name: str) -> int:
        """Return the number of a function, for iterators."""
        return self._required(btf.FUNC, name, f"function {name}")

    def tracepoint(self, name: str) -> int:
        """Return the number of a tracepoint's type."""
        return self._required(btf.TYPEDEF, f"btf_trace_{name}", f"tracepoint {name}")

    def has_tracepoint(self, name: str) -> bool:
        """Return whether there is a tracepoint."""
        with suppress(MissingError):
            return self.tracepoint(name) > 0
        return False

    def arguments(self, tracepoint: str) -> int:
        """Return how many arguments programs of a tracepoint get."""
        number = self.tracepoint(tracepoint)
        # The first one is the tracer's own, and not given to programs.
        look_up = lambda: self._types().arguments(number) - 1  # noqa: E731 - asked for below
        count: int = self._answer(f"arguments {tracepoint}", look_up)
        return count

    def save(self) -> None:
        """Let go of BTF, and keep what was learned for the next start."""
        with self._lock:
            self._save()

    def _save(self) -> None:
        if self._btf is not None:
            self._btf = None
            self._numbers.clear()
            _libc_trim()
        if self._cache is None or not self._is_new:
            return
        self._is_new = False
        new = self._cache.with_suffix(f".{os.getpid()}")
        # Without it the next start takes 50 ms longer, no more.
        with suppress(OSError):
            file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "w") as output:
                json.dump({"kernel": self._identity, "known": self._known}, output)
            new.replace(self._cache)

    def _read(self) -> dict[str, Any]:
        """Return what an earlier run learned of the same kernel."""
        with suppress(OSError, ValueError, AttributeError):
            kept = json.loads(self._cache.read_bytes()) if self._cache else {}
            if kept.get("kernel") == self._identity and isinstance(kept.get("known"), dict):
                return dict(kept["known"])
        return {}

    def _answer(self, question: str, look_up: Callable[[], Any]) -> Any:
        with self._lock:
            if question not in self._known:
                self._known[question] = look_up()
                self._is_new = True
            return self._known[question]

    def _look_up(self, struct: str, path: str) -> Member | None:
        number = self._number(btf.STRUCT, struct)
        if number is None:
            return None
        try:
            return self._types().member(number, path)
        except KeyError:
            return None

    def _required(self, kind: int, name: str, what: str) -> int:
        found: int | None = self._answer(f"{kind} {name}", lambda: self._number(kind, name))
        if found is None:
            raise MissingError(f"the kernel has no {what}")
        return found

    def _number(self, kind: int, name: str) -> int | None:
        if (kind, name) not in self._numbers:
            self._numbers[kind, name] = self._types().number(kind, name)
        return self._numbers[kind, name]

    def _types(self) -> Btf:
        if self._btf is None:
            try:
                self._btf = Btf(Path(self._path).read_bytes())
            except ValueError as error:
                raise OSError(f"cannot use {self._path}: {error}") from error
            except FileNotFoundError as error:
                raise OSError(f"the kernel does not describe its types: no {self._path}") from error
        return self._btf


def _libc_trim() -> None:
    """Give the memory that BTF took back to the system."""
    import ctypes  # noqa: PLC0415 - not needed where BPF is not used

    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@lru_cache(maxsize=8)
def _shared(state: Path | None) -> Kernel:
    return Kernel(state)


def kernel_of(host: Host) -> Kernel:
    """Return what all tables of *host* share; raise `OSError` with a reason not to use BPF."""
    refuse(host)
    return _shared(host.agent.state)


def is_meant(host: Host) -> bool:
    """Return whether BPF is to be used if it can: on the running host, and not turned off."""
    return host.uses_bpf and not host.prefix


def refuse(host: Host) -> None:
    """Raise `OSError` if BPF must not, or cannot, be used on *host*; looks, and tries nothing."""
    if not host.uses_bpf:
        raise OSError("the configuration has `bpf = false` in [linux]")
    if host.prefix:
        raise OSError("this is not the running host")
    if syscall.MACHINE not in syscall.NUMBERS:
        raise OSError(f"BPF is not supported on {syscall.MACHINE}")
    check_initial(host)
    if not os.access(btf.VMLINUX, os.R_OK):
        raise OSError(f"the kernel does not describe its types: no {btf.VMLINUX}")
