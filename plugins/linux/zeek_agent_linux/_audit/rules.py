"""Pure: audit rules, as the kernel takes and lists them (struct audit_rule_data)."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from zeek_agent_linux._audit.syscalls import ARCHES, numbers

KEY = "zeek-agent"
"""Marks our rules, so that those of an agent that was killed are known."""

EXIT_LIST, ALWAYS = 4, 2
PID, UID, EUID, ARCH, DIR, FILTER_KEY = 0, 1, 2, 11, 107, 210
EQUAL, NOT_EQUAL = 0x40000000, 0x30000000

_TEXTS = frozenset({13, 14, 15, 16, 17, 19, 20, 21, 22, 23, 105, DIR, 112, FILTER_KEY})
"""Fields whose value is a length of text: labels of security modules, paths, the key."""
_MOST = 64
_RULE = struct.Struct(f"=III{_MOST}I{_MOST}I{_MOST}I{_MOST}II")

Term = tuple[int, int, int | str]
"""A field, an operator and a value."""


class Rule(NamedTuple):
    """Records the calls of one architecture that all terms apply to."""

    arch: int | None
    calls: frozenset[int]
    terms: tuple[Term, ...] = ()
    key: str | None = KEY
    list: int = EXIT_LIST
    action: int = ALWAYS

    @property
    def is_plain(self) -> bool:
        """Whether it records every such call, whoever makes it."""
        return (self.list, self.action) == (EXIT_LIST, ALWAYS) and not self.terms


def pack_rule(rule: Rule) -> bytes:
    """Return the payload that adds or deletes *rule*."""
    terms: list[Term] = [] if rule.arch is None else [(ARCH, EQUAL, rule.arch)]
    terms += rule.terms
    if rule.key is not None:
        terms.append((FILTER_KEY, EQUAL, rule.key))
    values, texts = [], b""
    for _, _, value in terms:
        raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else b""
        texts += raw
        values.append(len(raw) if isinstance(value, str) else value)
    mask = [0] * _MOST
    for call in rule.calls:
        mask[call // 32] |= 1 << call % 32
    unused = [0] * (_MOST - len(terms))
    head = _RULE.pack(
        rule.list, rule.action, len(terms),
        *mask, *(t[0] for t in terms), *unused, *values, *unused, *(t[1] for t in terms), *unused,
        len(texts),
    )  # fmt: skip
    return head + texts


def parse_rule(raw: bytes) -> Rule:
    """Return a rule as the kernel lists it; raise `ValueError` if it is cut."""
    if len(raw) < _RULE.size:
        raise ValueError(f"an audit rule has {_RULE.size} bytes, not {len(raw)}")
    flags, action, count, *rest = _RULE.unpack_from(raw)
    mask, kinds, values, operators = (rest[at : at + _MOST] for at in range(0, 4 * _MOST, _MOST))
    calls = frozenset(
        32 * word + bit for word, bits in enumerate(mask) for bit in range(32) if bits >> bit & 1
    )
    arch, key, terms, at = None, None, [], _RULE.size
    for kind, value, operator in list(zip(kinds, values, operators, strict=True))[:count]:
        term: Term = (kind, operator, value)
        if kind in _TEXTS:
            text = raw[at : at + value].decode("utf-8", "surrogateescape")
            at += value
            term = (kind, operator, text)
        if kind == ARCH and operator == EQUAL:
            arch = value
        elif kind == FILTER_KEY:
            key = str(term[2])
        else:
            terms.append(term)
    return Rule(arch, calls, tuple(terms), key, flags & 7, action)


def rules_for(
    arches: Iterable[str], calls: Iterable[str], alternatives: Iterable[tuple[Term, ...]] = ((),)
) -> frozenset[Rule]:
    """Return rules that record *calls* in programs of *arches*; one of *alternatives* must hold."""
    wanted = frozenset(calls)
    return frozenset(
        Rule(ARCHES[arch], numbers(arch, wanted), terms)
        for arch in arches
        for terms in alternatives
        if numbers(arch, wanted)
    )


def uncovered(arch: str, calls: Iterable[str], loaded: Iterable[Rule]) -> list[str]:
    """Return those of *calls* that no rule records whoever makes them, on *arch*."""
    plain = [rule for rule in loaded if rule.is_plain and rule.arch in (None, ARCHES[arch])]
    covered = frozenset().union(*(rule.calls for rule in plain))
    return sorted(name for name in calls if not numbers(arch, {name}) <= covered)


def unheard(arch: str, calls: Iterable[str], loaded: Iterable[Rule]) -> list[str]:
    """Return those of *calls* that no rule records, whatever its conditions, on *arch*."""
    ours = (rule for rule in loaded if (rule.list, rule.action) == (EXIT_LIST, ALWAYS))
    heard = frozenset().union(*(rule.calls for rule in ours if rule.arch in (None, ARCHES[arch])))
    return sorted(name for name in calls if numbers(arch, {name}).isdisjoint(heard))
