"""Pure: the old rows and the new rows of a query to what changed.

Most tables give their rows in the same order each time. So both lists are
walked side by side, which costs half of hashing one of them; only what does
not line up is matched through sets.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import compress
from operator import ne

from zeek_agent_core.query import ResultRow
from zeek_agent_core.values import SqlValue

Rows = Sequence[ResultRow]

BLOCK = 32
"""Rows that are compared at once."""
REACH = 16
"""How many rows ahead the lists are looked at to line up again."""

_RANKS = {type(None): 0, bool: 1, int: 2, float: 2, str: 3, bytes: 4}


def differences(old: Rows, new: Rows) -> tuple[list[ResultRow], list[ResultRow]]:
    """Return the rows that are gone, and those that are new, each sorted.

    Rows are compared as wholes, as multisets: of two equal rows one may go.
    """
    gone, come = _walk(old, new)
    if gone and come:
        gone, come = _unmatched(gone, come)
    return in_order(gone), in_order(come)


def _walk(old: Rows, new: Rows) -> tuple[list[ResultRow], list[ResultRow]]:
    """Walk both lists side by side; return what stood in the way."""
    gone: list[ResultRow] = []
    come: list[ResultRow] = []
    here = there = 0
    # Lists that do not line up time and again are in different orders: no use to go on.
    hope = patience = (len(old) + len(new)) // 1024 + BLOCK
    while here < len(old) and there < len(new) and hope:
        old_block, new_block = old[here : here + BLOCK], new[there : there + BLOCK]
        if old_block == new_block:
            here += BLOCK
            there += BLOCK
            hope = patience
            continue
        most = min(len(old_block), len(new_block))
        equal = next(compress(range(most), map(ne, old_block, new_block)), most)
        here += equal
        there += equal
        less, more = _detour(old[here : here + REACH], new[there : there + REACH])
        gone += old[here : here + less]
        come += new[there : there + more]
        here += less
        there += more
        hope = patience if equal else hope - 1
    return gone + list(old[here:]), come + list(new[there:])


def _detour(old: Rows, new: Rows) -> tuple[int, int]:
    """Return how many rows to leave out of each list so that they line up again."""
    for step in range(1, min(len(old), len(new))):
        if old[step] == new[step]:
            return step, step
        if old[step] == new[0]:
            return step, 0
        if old[0] == new[step]:
            return 0, step
    return len(old), len(new)


def _unmatched(
    old: list[ResultRow], new: list[ResultRow]
) -> tuple[list[ResultRow], list[ResultRow]]:
    """Drop as many rows from both as they have in common."""
    old_set, new_set = set(old), set(new)
    if old_set.isdisjoint(new_set):
        return old, new
    if len(old_set) == len(old) and len(new_set) == len(new):
        changed = old_set ^ new_set
        return [r for r in changed if r in old_set], [r for r in changed if r in new_set]
    before, after = Counter(old), Counter(new)
    return list((before - after).elements()), list((after - before).elements())


def in_order(rows: list[ResultRow]) -> list[ResultRow]:
    """Return *rows* sorted; NULL comes first, then numbers, text, blobs."""
    try:
        return sorted(rows)
    except TypeError:  # values of different types in one column
        return sorted(rows, key=_sort_key)


def _sort_key(row: ResultRow) -> list[tuple[int, SqlValue]]:
    return [(_RANKS[type(value)], 0 if value is None else value) for value in row]
