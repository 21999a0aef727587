"""Pure: a result of two columns as a picture made of characters."""

from collections.abc import Iterator, Sequence

from zeek_agent_core.errors import StatementError
from zeek_agent_core.query import ResultColumn, ResultRow
from zeek_agent_core.repl.cells import Style, cell, cut, one_line, width
from zeek_agent_core.values import SqlValue, Type

EIGHTHS = "▏▎▍▌▋▊▉█"
HEIGHTS = "▁▂▃▄▅▆▇█"
LEAST_BAR = 10
LINE_HEIGHT = 15

Columns = Sequence[ResultColumn]
Rows = Sequence[ResultRow]


def bar(columns: Columns, rows: Rows, style: Style, screen: int) -> Iterator[str]:
    """Yield a line for each row: label, value, and a bar from zero."""
    label_column, value_column = _two(columns)
    values = [_number(value_column, row[1]) for row in rows]
    texts = [cell(value_column, row[1], style) for row in rows]
    number_size = max((width(text) for text in texts), default=0)
    most_label = max(screen - number_size - 4 - LEAST_BAR, 1)
    labels = [cut(cell(label_column, row[0], style), most_label) for row in rows]
    label_size = max((width(label) for label in labels), default=0)
    room = max(screen - label_size - number_size - 4, 1)
    most = max((abs(v) for v in values if v is not None), default=0.0)
    for label, text, value in zip(labels, texts, values, strict=True):
        pads = " " * (label_size - width(label)), " " * (number_size - width(text))
        drawn = "" if value is None or not most else _bar(abs(value) / most * room)
        sign = "-" if value is not None and value < 0 else " "
        yield f"{label}{pads[0]}  {pads[1]}{text} {sign}{drawn}".rstrip()


def _bar(size: float) -> str:
    """Return a bar of *size* columns, to the eighth of one; something for all but zero."""
    eighths = max(round(size * 8), 1) if size > 0 else 0
    whole, rest = divmod(eighths, 8)
    return EIGHTHS[-1] * whole + (EIGHTHS[rest - 1] if rest else "")


def spark(columns: Columns, rows: Rows, style: Style, screen: int) -> Iterator[str]:
    """Yield one line of small columns, and the range they span."""
    column = columns[-1]
    values = [_number(column, row[-1]) for row in rows]
    known = [value for value in values if value is not None]
    if not known:
        yield "no values"
        return
    low, high = min(known), max(known)
    spread = high - low
    picture = ""
    for value in _thinned(values, screen):
        if value is None:
            picture += " "
        else:
            picture += HEIGHTS[round((value - low) / spread * 7) if spread else 0]
    yield picture
    ends = [cell(column, _extreme(column, rows, pick), style) for pick in (min, max)]
    yield f"{ends[0]} to {ends[1]}, {len(values)} values"


def _extreme(column: ResultColumn, rows: Rows, pick: object) -> SqlValue:
    known = [row[-1] for row in rows if _number(column, row[-1]) is not None]
    return min(known, key=_order) if pick is min else max(known, key=_order)


def _order(value: SqlValue) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _thinned(values: Sequence[float | None], most: int) -> list[float | None]:
    """Return *values*, or the largest of each group where there are more than *most*."""
    if len(values) <= most:
        return list(values)
    groups = (
        values[place * len(values) // most : (place + 1) * len(values) // most]
        for place in range(most)
    )
    return [max((v for v in group if v is not None), default=None) for group in groups]


def line(columns: Columns, rows: Rows, _: Style, screen: int) -> Iterator[str]:
    """Yield a plot of the second column over the first; plotille draws it."""
    across, up = _two(columns)
    points = [(_number(across, row[0]), _number(up, row[1])) for row in rows]
    known = [(x, y) for x, y in points if x is not None and y is not None]
    if not known:
        raise StatementError("nothing to draw: .chart line needs rows of two numbers")
    import plotille  # noqa: PLC0415 - for this alone

    drawn = plotille.plot(
        [x for x, _ in known],
        [y for _, y in known],
        width=max(screen - 24, LEAST_BAR),
        height=LINE_HEIGHT,
        X_label=one_line(across.name)[:9],
        Y_label=one_line(up.name)[:9],
    )
    yield from (text.rstrip() for text in drawn.splitlines())


def _two(columns: Columns) -> tuple[ResultColumn, ResultColumn]:
    if len(columns) != 2:  # noqa: PLR2004 - what a chart is made of
        raise StatementError(
            f"a chart needs two columns, a label and a number; the statement has {len(columns)}"
        )
    return columns[0], columns[1]


def _number(column: ResultColumn, value: SqlValue) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise StatementError(f"a chart needs numbers; column {column.name} has {str(value)[:40]!r}")
    seconds = {Type.INTERVAL: 1e9, Type.TIME: 1e6}.get(column.type or Type.NULL, 1)
    return value / seconds


KINDS = {"bar": bar, "line": line, "spark": spark}
"""What `.chart` can draw."""
