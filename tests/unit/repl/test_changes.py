"""Tests of what is new in a watched result."""

from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.repl.changes import changed_cells

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8)


def test_changed_value():
    """Of a row with the same first value only the other values that changed are marked."""
    old = [("a", 1, 1), ("b", 2, 2)]
    assert changed_cells(old, [("a", 1, 1), ("b", 3, 2)]) == {(1, 1)}


def test_new_row():
    """A row without counterpart is marked as a whole; one that only moved is not."""
    assert changed_cells([("a", 1)], [("c", 1), ("a", 1)]) == {(0, 0), (0, 1)}
    assert changed_cells([("a", 1), ("b", 2)], [("b", 2), ("a", 1)]) == set()


@given(rows, rows)
def test_marks_explain_the_difference(old, new):
    """Rows without a mark were all there before, as often."""
    marks = changed_cells(old, new)
    left = list(old)
    for number, row in enumerate(new):
        if not any(place == number for place, _ in marks):
            left.remove(row)
    assert changed_cells(new, new) == set()
