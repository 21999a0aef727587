"""Values that are made once."""

from zeek_agent_linux._memo import Memo


def test_made_once_and_forgotten():
    """A value is made when it is first asked for, and again once there were too many."""
    asked = []

    def make(key):
        asked.append(key)
        return key * 2

    memo = Memo(make, 2)
    assert [memo[1], memo[2], memo[1], memo[2]] == [2, 4, 2, 4]
    assert asked == [1, 2]
    assert [memo[3], memo[1]] == [6, 2]
    assert asked == [1, 2, 3, 1]
    assert len(memo) == 2
