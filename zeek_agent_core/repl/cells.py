"""Pure: single values as text that fits a terminal."""

from collections.abc import Callable
from typing import NamedTuple

from zeek_agent_core.query import ResultColumn
from zeek_agent_core.repl import readable
from zeek_agent_core.values import SqlValue, Type, to_text, type_of_value

NUMBERS = frozenset({Type.COUNT, Type.INT, Type.REAL, Type.INTERVAL})
NULL_TEXT = "(null)"

BOLD, DIM, RED, GREEN, YELLOW, REVERSE, RESET = (
    f"\x1b[{code}m" for code in (1, 2, 31, 32, 33, 7, 0)
)

_WIDTHS: dict[str, int] = {}
_MOST_WIDTHS = 10_000


class Style(NamedTuple):
    """How results look."""

    null: str | None = None
    """What stands for NULL; None is what the mode has for it."""
    is_exact: bool = True
    """Whether times and intervals are shown with all their digits."""
    colours: bool = False
    widths: tuple[int, ...] = ()
    """Fixed widths of the first columns of tables; 0 is as wide as its values."""
    screen: int | None = None
    """Columns of the terminal; None if there is none."""


PLAIN = Style()


def cell(column: ResultColumn, value: SqlValue, style: Style = PLAIN) -> str:
    """Return *value* as one line of text that no terminal takes as a command."""
    if value is None:
        return one_line(NULL_TEXT if style.null is None else style.null)
    its_kind = kind(column, value)
    if not style.is_exact and isinstance(value, int):
        if its_kind is Type.TIME:
            return readable.moment(value)
        if its_kind is Type.INTERVAL:
            return readable.duration(value)
    return one_line(to_text(its_kind, value))


def kind(column: ResultColumn, value: SqlValue) -> Type:
    """Return the type of *value* in *column*."""
    return column.type or type_of_value(value)


def one_line(text: str) -> str:
    r"""Return *text* with all that is not printable escaped, for example ``\n``, ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def lines_of(text: str, escape: Callable[[str], str] = one_line) -> str:
    """Return *text* with what is not printable in each of its lines escaped."""
    return "\n".join(map(escape, text.split("\n")))


def json_line(text: str) -> str:
    r"""Return the JSON *text* with what is not printable as JSON escapes it, like ``\u009b``."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _json_escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "backslashreplace").decode()


def _json_escaped(letter: str) -> str:
    return "".join(
        f"\\u{unit}" for unit in letter.encode("utf-16-be", "surrogatepass").hex(" ", 2).split()
    )


def width(text: str) -> int:
    """Return how many columns of a terminal *text* takes; it must be printable."""
    if text.isascii():
        return len(text)
    known = _WIDTHS.get(text)
    if known is None:
        from wcwidth import wcswidth  # noqa: PLC0415 - only for text beyond ASCII

        known = _WIDTHS[text] = max(wcswidth(text), 0)
        if len(_WIDTHS) > _MOST_WIDTHS:
            _WIDTHS.clear()
    return known


def cut(text: str, size: int) -> str:
    """Return *text*, its end replaced by `…` where it takes more than *size* columns."""
    if width(text) <= size:
        return text
    if size <= 0:
        return ""
    low, high = 0, min(len(text), 2 * size + 64)
    while low < high:  # the longest beginning that leaves room for the sign
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle]) < size else (low, middle - 1)
    return text[:low] + "…"


def padded(text: str, size: int, *, is_right: bool, paint: Callable[[str], str] = str) -> str:
    """Return *text* in *size* columns; *paint* may add colours, which take no room."""
    space = " " * (size - width(text))
    return space + paint(text) if is_right else paint(text) + space


def painted(text: str, *colours: str) -> str:
    """Return *text* in *colours*, which end with it."""
    return f"{''.join(colours)}{text}{RESET}" if text else text
