"""Pure: what is new in a result that is shown again and again."""

from collections import Counter
from collections.abc import Sequence

from zeek_agent_core.query import ResultRow


def changed_cells(old: Sequence[ResultRow], new: Sequence[ResultRow]) -> set[tuple[int, int]]:
    """Return row and column of each cell of *new* that was not so in *old*.

    A row that was there before, anywhere, is unchanged. Another is compared
    with the old row of the same first value that nothing else matches, cell by
    cell; without one it is new as a whole.
    """
    left = Counter(old)
    fresh: list[int] = []
    for number, row in enumerate(new):
        if left[row] > 0:
            left[row] -= 1
        else:
            fresh.append(number)
    partners: dict[object, list[ResultRow]] = {}
    for row in left.elements():
        if row:
            partners.setdefault(row[0], []).append(row)
    found: set[tuple[int, int]] = set()
    for number in fresh:
        row = new[number]
        match = partners.get(row[0]) if row else None
        before = match.pop(0) if match else None
        found |= {
            (number, place)
            for place, value in enumerate(row)
            if before is None or before[place] != value
        }
    return found
