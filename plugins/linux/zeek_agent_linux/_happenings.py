"""What a kernel tells of directories, in one form for all ways to hear of it."""

from collections.abc import Hashable
from types import TracebackType
from typing import ClassVar, Final, NamedTuple, Protocol, Self


class What:
    """What happened to a name: bits, several where the kernel merged events.

    Plain numbers: an `IntFlag` would cost more than all the rest of an event.
    """

    CREATED: Final = 1
    MODIFIED: Final = 2
    ATTRIBUTES: Final = 4
    DELETED: Final = 8
    MOVED_FROM: Final = 16
    MOVED_TO: Final = 32
    RENAMED: Final = 64
    """From the name to the new one."""
    MOVES: Final = MOVED_FROM | MOVED_TO | RENAMED


class Happening(NamedTuple):
    """An event in a watched directory."""

    watch: Hashable
    """Which directory."""
    name: str
    """Of what it happened to, in that directory; empty for the directory itself."""
    what: int
    """Bits of `What`."""
    is_directory: bool
    pid: int | None = None
    cookie: int = 0
    """Pairs `MOVED_FROM` and `MOVED_TO`, if it is not 0."""
    new_watch: Hashable = None
    new_name: str = ""
    """For `RENAMED`: where it is now; the watch is None if that is not known."""


class Heard(NamedTuple):
    """What was read at one time."""

    happenings: list[Happening]
    gone: list[Hashable]
    """Watches that the kernel has removed."""
    overflows: int


class Notifier(Protocol):
    """A way to hear of what happens in directories; a context manager."""

    tells_twice: ClassVar[bool]
    """Whether what happens to a directory itself is told by the one that it is in, too."""

    def __enter__(self) -> Self:
        """Return the notifier."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove all watches."""

    def fileno(self) -> int:
        """Return the descriptor that is readable when there is something to hear."""

    def add(self, path: str, *, is_passage: bool) -> Hashable:
        """Watch the directory *path*; return the watch, which may be a known one.

        Of a passage just names are of interest that come and go. Raises `OSError`.
        """

    def remove(self, watch: Hashable, path: str) -> None:
        """Watch the directory no more, which is at *path* now; if it is gone that is fine."""

    def read(self) -> Heard:
        """Return what waits, at most some 2,000 events."""

    @property
    def has_more(self) -> bool:
        """Whether there is something to read that the descriptor does not tell of."""
