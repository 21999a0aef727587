"""Hears of what happens in directories through inotify."""

import os
from collections.abc import Hashable
from types import TracebackType
from typing import ClassVar, Self

from zeek_agent_linux import _inotify
from zeek_agent_linux._drain import Drain
from zeek_agent_linux._happenings import Happening, Heard, What

_MASKS = (
    (_inotify.CREATE, What.CREATED),
    (_inotify.MODIFY, What.MODIFIED),
    (_inotify.ATTRIB, What.ATTRIBUTES),
    (_inotify.DELETE, What.DELETED),
    (_inotify.MOVED_FROM, What.MOVED_FROM),
    (_inotify.MOVED_TO, What.MOVED_TO),
)
WHATS = dict(_MASKS) | {mask | _inotify.ISDIR: what for mask, what in _MASKS}
_COMMON = _inotify.ONLYDIR | _inotify.EXCL_UNLINK
_PASSAGE = _inotify.CREATE | _inotify.MOVED_TO | _inotify.MOVED_FROM | _inotify.DELETE


class InotifyNotifier:
    """A notifier that knows no processes."""

    tells_twice: ClassVar[bool] = True

    def __enter__(self) -> Self:
        """Make the instance."""
        self._inotify = _inotify.Inotify()
        self._drain = Drain(self._inotify.fileno())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove all watches."""
        self._inotify.__exit__(None, None, None)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._inotify.fileno()

    def add(self, path: str, *, is_passage: bool) -> Hashable:
        """Watch the directory *path*."""
        return self._inotify.add(path, _COMMON | (_PASSAGE if is_passage else _inotify.CHANGES))

    def remove(self, watch: Hashable, path: str) -> None:  # noqa: ARG002 - fanotify needs it
        """Watch the directory no more."""
        if isinstance(watch, int):
            self._inotify.remove(watch)

    @property
    def has_more(self) -> bool:
        """Whether something was read and not returned yet."""
        return bool(self._drain)

    def read(self) -> Heard:
        """Return what waits."""
        happenings: list[Happening] = []
        gone: list[Hashable] = []
        overflows = 0
        decode, whats, isdir = os.fsdecode, WHATS, _inotify.ISDIR
        for watch, mask, cookie, name in _inotify.parse(self._drain.take()):
            what = whats.get(mask)
            if what is not None:
                happening = Happening(watch, decode(name), what, mask >= isdir, None, cookie)
                happenings.append(happening)
            elif mask & _inotify.OVERFLOW:
                overflows += 1
            elif mask & _inotify.IGNORED:
                gone.append(watch)
        return Heard(happenings, gone, overflows)


def check() -> None:
    """Raise `OSError` if inotify does not work."""
    with _inotify.Inotify() as made:
        made.add("/", _inotify.CREATE)
