"""Names of the files that are put away, and how many of them stay."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

LocalTime = Callable[[float], time.struct_time]


def stamp(moment: float, local_time: LocalTime) -> str:
    """Return *moment* as Zeek writes it in file names and headers."""
    return time.strftime("%Y-%m-%d-%H-%M-%S", local_time(moment))


class Archive:
    """The files that once were *path*, beside it: `users.2026-11-21-10-00-00.log`.

    The time is the one at which the file was begun, in local time, as in
    Zeek's archives. A second file of the same second gets a number,
    `users.2026-11-21-10-00-00-2.log`.
    """

    def __init__(self, path: Path, keep: int, local_time: LocalTime) -> None:
        """Keep at most *keep* earlier files of *path*."""
        self.path = path
        self.keep = keep
        self._local_time = local_time
        self._pattern = re.compile(
            rf"{re.escape(path.stem)}\.(\d{{4}}(?:-\d\d){{5}})(?:-(\d+))?{re.escape(path.suffix)}"
        )

    def put_away(self, begun: float) -> None:
        """Rename the file, which was begun at *begun*, and remove the oldest ones."""
        moment = stamp(begun, self._local_time)
        last = max((number for name, number, _ in self._found() if name == moment), default=0)
        ending = f"-{last + 1}{self.path.suffix}" if last else self.path.suffix
        target = self.path.with_name(f"{self.path.stem}.{moment}{ending}")
        self.path.rename(target)
        # What cannot be removed now is tried again the next time.
        with contextlib.suppress(OSError):
            for old in self.files()[: -self.keep or None]:
                old.unlink()

    def files(self) -> list[Path]:
        """Return the files that were put away, oldest first."""
        return [path for _, _, path in sorted(self._found())]

    def _found(self) -> Iterator[tuple[str, int, Path]]:
        for path in self.path.parent.iterdir():
            if name := self._pattern.fullmatch(path.name):
                yield name[1], int(name[2] or 1), path
