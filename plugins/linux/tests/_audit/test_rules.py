"""Audit rules: what is sent to the kernel, what it lists, what they cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._audit import rules as module
from zeek_agent_linux._audit.rules import (
    DIR,
    EQUAL,
    NOT_EQUAL,
    PID,
    UID,
    Rule,
    pack_rule,
    parse_rule,
    rules_for,
    uncovered,
    unheard,
)
from zeek_agent_linux._audit.syscalls import ARCHES, numbers

X64 = ARCHES["x86_64"]
NUMBERS = st.integers(0, 2**32 - 1)
TERMS = st.one_of(
    st.tuples(st.sampled_from([PID, UID, 2, 18]), st.sampled_from([EQUAL, NOT_EQUAL]), NUMBERS),
    st.tuples(st.just(DIR), st.just(EQUAL), st.text(min_size=1, max_size=20)),
)
RULES = st.builds(
    Rule,
    st.none() | st.sampled_from(list(ARCHES.values())),
    st.frozensets(st.integers(0, 2047), max_size=20),
    st.lists(TERMS, max_size=10).map(tuple),
    st.none() | st.text(min_size=1, max_size=20),
    st.integers(0, 6),
    st.integers(0, 2),
)


@given(RULES)
def test_a_rule_comes_back(rule):
    """What is packed for the kernel is the same rule when it is read."""
    assert parse_rule(pack_rule(rule)) == rule


@given(st.binary(max_size=3000))
def test_any_listing_is_read_or_refused(raw):
    """Whatever the kernel lists is a rule; what is too short is an error."""
    if len(raw) < len(pack_rule(Rule(None, frozenset(), (), None))):
        with pytest.raises(ValueError, match="bytes"):
            parse_rule(raw)
    else:
        parse_rule(raw)


def test_rules_are_made_for_each_architecture():
    """Calls have other numbers in 32-bit programs; what an architecture lacks is left out."""
    made = rules_for(("x86_64", "i386"), {"execve", "accept"})
    assert {(rule.arch, rule.calls) for rule in made} == {
        (X64, frozenset({59, 43})),
        (ARCHES["i386"], frozenset({11})),
    }
    assert rules_for(("aarch64",), {"fork"}) == frozenset()
    assert all(rule.key == module.KEY for rule in made)


def test_alternatives_are_rules_of_their_own():
    """Conditions of one rule must hold together, so alternatives take a rule each."""
    made = rules_for(("x86_64",), {"execve"}, [((UID, EQUAL, 1),), ((UID, EQUAL, 2),)])
    assert {rule.terms for rule in made} == {((UID, EQUAL, 1),), ((UID, EQUAL, 2),)}


def test_coverage_is_told():
    """A rule with conditions records some calls, one without all; others say nothing."""
    calls = {"execve", "connect", "bind"}
    loaded = [
        Rule(X64, numbers("x86_64", {"execve"})),
        Rule(X64, numbers("x86_64", {"connect"}), ((UID, EQUAL, 1),)),
        Rule(ARCHES["i386"], numbers("i386", {"bind"})),
        Rule(X64, numbers("x86_64", {"bind"}), action=0),
        Rule(X64, numbers("x86_64", {"bind"}), list=1),
    ]
    assert uncovered("x86_64", calls, loaded) == ["bind", "connect"]
    assert unheard("x86_64", calls, loaded) == ["bind"]
    assert uncovered("x86_64", calls, []) == unheard("x86_64", calls, []) == sorted(calls)
    assert uncovered("x86_64", calls, [Rule(None, frozenset(range(2048)))]) == []
    assert uncovered("aarch64", {"fork"}, []) == []
