"""The SQL functions of our own."""

import pytest

from zeek_agent_core import regexps
from zeek_agent_core.errors import LimitError, StatementError
from zeek_agent_core.sql.database import Database
from zeek_agent_core.sql.functions import FUNCTIONS


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("regexp('^a.c$', 'abc')", 1),
        ("'abc' REGEXP 'b'", 1),
        ("'abc' REGEXP 'x'", 0),
        ("regexp(NULL, 'a')", None),
        ("regexp('a', NULL)", None),
        ("regexp('5', 15)", 1),
        ("regexp('a', x'61ff')", 1),
        ("iso(0)", "1970-01-01T00:00:00.000000Z"),
        ("iso(1.5e6)", "1970-01-01T00:00:01.500000Z"),
        ("iso('x')", None),
        ("iso(9223372036854775807)", None),
        ("iso(9e999)", None),
        ("seconds(1500000000)", 1.5),
        ("seconds('x')", None),
        ("cidr_contains('10.0.0.0/8', '10.1.2.3')", 1),
        ("cidr_contains('10.0.0.0/8', '11.1.2.3')", 0),
        ("cidr_contains('10.0.0.0/8', '::ffff:10.1.2.3')", 1),
        ("cidr_contains('2001:db8::/32', '2001:db8::1')", 1),
        ("cidr_contains('2001:db8::/32', '10.0.0.1')", 0),
        ("cidr_contains('10.0.0.0/8', 'no address')", None),
        ("cidr_contains(NULL, '10.0.0.1')", None),
        ("cidr_contains('10.0.0.0/8', NULL)", None),
        ("ip_version('10.0.0.1')", 4),
        ("ip_version('::1')", 6),
        ("ip_version('x')", None),
        ("basename('/etc/passwd')", "passwd"),
        ("dirname('/etc/passwd')", "/etc"),
        ("basename(5)", None),
        ("dirname(NULL)", None),
    ],
)
async def test_functions(expression, value):
    """Each function gives its value, and NULL for what it cannot read."""
    async with Database([]) as db:
        assert (await db.execute(f"SELECT {expression}")).rows == [(value,)]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("regexp('(', 'a')", "wrong regular expression"),
        ("cidr_contains('10.0.0.0/99', '10.0.0.1')", "cidr_contains: "),
    ],
)
async def test_wrong_arguments_are_told(expression, message):
    """A pattern or network that cannot be read is an error of the statement."""
    async with Database([]) as db:
        with pytest.raises(StatementError, match=message):
            await db.execute(f"SELECT {expression}")


async def test_a_regular_expression_is_bounded_in_time(monkeypatch):
    """A pattern that explodes ends its query, not the agent."""
    monkeypatch.setattr(regexps, "SECONDS", 0.1)
    async with Database([]) as db:
        with pytest.raises(LimitError, match="took longer"):
            await db.execute(f"SELECT regexp('(a|aa)+$', '{'a' * 60}b')")


def test_signatures_match_their_functions():
    """The help text of a function names it and has as many arguments."""
    for name, (_, arguments, signature) in FUNCTIONS.items():
        assert signature.startswith(f"{name}(")
        assert signature.count(",") == arguments - 1
