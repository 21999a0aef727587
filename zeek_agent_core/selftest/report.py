"""What a self-test found, as text that can be attached to a bug report."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How one part of the test went."""

    PASSED = "passed"
    FAILED = "FAILED"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One part of the test."""

    subject: str
    """A table, or what was done and where it was to appear."""
    outcome: Outcome
    detail: str = ""


def render(facts: Iterable[tuple[str, str]], parts: Iterable[tuple[str, Sequence[Finding]]]) -> str:
    """Return the report: *facts* about the host by name, then each part's findings.

    No row of any table is in it, and nothing that names the host or its users.
    """
    parts = list(parts)
    lines = ["Zeek Agent self-test", ""]
    lines += [f"{name + ':':<12} {value}" for name, value in facts]
    for title, findings in parts:
        lines += ["", title]
        lines += _lines(findings)
    counts = dict.fromkeys(Outcome, 0)
    for _, findings in parts:
        for finding in findings:
            counts[finding.outcome] += 1
    lines += ["", ", ".join(f"{count} {outcome.lower()}" for outcome, count in counts.items())]
    return "\n".join(lines) + "\n"


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    width = max((len(finding.subject) for finding in findings), default=0)
    for finding in findings:
        line = f"  {finding.outcome:<8} {finding.subject:<{width}}  {finding.detail}"
        yield line.rstrip()


def has_failed(parts: Iterable[tuple[str, Sequence[Finding]]]) -> bool:
    """Return whether anything failed."""
    return any(f.outcome is Outcome.FAILED for _, findings in parts for f in findings)
