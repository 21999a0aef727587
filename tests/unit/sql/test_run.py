"""What is known of a run from its text."""

import pytest

from zeek_agent_core.limits import Limits
from zeek_agent_core.sql.run import Run


@pytest.mark.parametrize(
    ("sql", "is_literal"),
    [
        ("SELECT 1 FROM t WHERE a IN (1, 2)", True),
        ("select 1 from t where a in(1) and inner_a = 'within'", True),
        ("SELECT 1 FROM t WHERE a IN (SELECT 1)", False),
        ("SELECT 1 FROM t WHERE a IN other", False),
        ("SELECT 1 FROM t WHERE a IN json_each('[]')", False),
        ("SELECT 1 FROM t WHERE a IN /* odd */ (1)", False),
    ],
)
def test_lists_from_elsewhere_are_noticed(sql, is_literal):
    """A list that may turn out to be empty is told from one that is spelt out."""
    assert Run(sql, Limits(), {}).lists_are_literal is is_literal


def test_scans_are_kept_by_table():
    """All scans of one table count together."""
    run = Run("SELECT 1", Limits(), {})
    run.scan("fruits").rows += 2
    assert run.scan("fruits").rows == 2
    assert run.elapsed() == 0
