"""Tests of what changed between two results."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.schedule.diff import BLOCK, REACH, differences, in_order

values = st.one_of(
    st.none(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, -2.0]), st.sampled_from("abé"),
    st.sampled_from([b"", b"a"]),
)  # fmt: skip
rows = st.lists(st.tuples(values, values), max_size=30)
RANKS = {type(None): 0, int: 1, float: 1, str: 2, bytes: 3}


def ordered(some):
    """Sort by storage class and value, the slow way."""
    return sorted(some, key=lambda row: [(RANKS[type(v)], 0 if v is None else v) for v in row])


@given(rows, rows)
def test_equals_counting(old, new):
    """Changes are what counting each row says, sorted, and nothing goes and comes at once."""
    deleted, added = differences(old, new)
    before, after = Counter(old), Counter(new)
    assert Counter(deleted) == before - after
    assert Counter(added) == after - before
    assert deleted == ordered(deleted)
    assert added == ordered(added)
    assert not set(deleted) & set(added)


@given(st.data())
def test_applied_to_the_old_gives_the_new(data):
    """Edits of any kind to a long list are found again: old - deleted + added = new."""
    size = data.draw(st.integers(0, 5 * BLOCK))
    old = [(number, f"row {number % 7}") for number in range(size)]
    new = list(old)
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(new)))
        match data.draw(st.sampled_from(["insert", "remove", "replace", "swap", "block"])):
            case "insert":
                new.insert(place, (data.draw(st.integers(0, size + 1)), "new"))
            case "remove":
                del new[place : place + 1]
            case "replace":
                new[place : place + 1] = [(place, "changed")]
            case "swap":
                new[place : place + 2] = new[place : place + 2][::-1]
            case "block":
                del new[place : place + data.draw(st.integers(1, 2 * REACH))]
    deleted, added = differences(old, new)
    left = Counter(old)
    left.subtract(deleted)
    assert min(left.values(), default=0) >= 0
    left.update(added)
    assert +left == Counter(new)


@given(rows)
def test_nothing_changes_between_equals(some):
    """Equal results differ in nothing, in whatever order they come."""
    assert differences(some, list(some)) == ([], [])
    assert differences(some, some[::-1]) == ([], [])


@given(rows, st.randoms())
def test_order_does_not_matter(some, random):
    """Changes do not depend on the order of either result."""
    shuffled = list(some)
    random.shuffle(shuffled)
    other = [*some[1:], (9, 9)]
    assert differences(some, other) == differences(shuffled, other)


@pytest.mark.parametrize(
    ("old", "new", "deleted", "added"),
    [
        ([], [], [], []),
        ([], [(2,), (1,)], [], [(1,), (2,)]),
        ([(1,), (1,)], [(1,)], [(1,)], []),
        ([(1,)], [(1,), (1,), (1,)], [], [(1,), (1,)]),
        ([("a", 1)], [("a", 2)], [("a", 1)], [("a", 2)]),
        ([(None,)], [("",)], [(None,)], [("",)]),
    ],
)
def test_small_cases(old, new, deleted, added):
    """A changed row is one delete and one add; of equal rows as many go as are gone."""
    assert differences(old, new) == (deleted, added)


def test_order_of_storage_classes():
    """NULL sorts before numbers, those before text, that before blobs."""
    some = [(b"a",), ("a",), (2.5,), (1,), (None,), (3,)]
    assert in_order(some) == [(None,), (1,), (2.5,), (3,), ("a",), (b"a",)]


def test_shuffled_and_large():
    """Large results in quite different orders are compared right as well."""
    old = [(number, str(number)) for number in range(20_000)]
    new = [(number, str(number)) for number in range(19_999, 9, -1)] + [(-1, "new")]
    deleted, added = differences(old, new)
    assert deleted == [(number, str(number)) for number in range(10)]
    assert added == [(-1, "new")]
