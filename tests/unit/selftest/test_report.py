"""The report of a self-test."""

from zeek_agent_core.selftest.report import Finding, Outcome, has_failed, render


def test_render():
    """The report lists each finding under its part and ends with a count."""
    parts = [
        (
            "Tables",
            [Finding("users", Outcome.PASSED, "3 rows"), Finding("x", Outcome.FAILED, "no")],
        ),
        ("Deeds", [Finding("start", Outcome.SKIPPED)]),
    ]
    text = render([("agent", "3.0.0")], parts)
    assert "agent:       3.0.0" in text
    assert "  passed   users  3 rows" in text
    assert text.endswith("\n1 passed, 1 failed, 1 skipped\n")
    assert has_failed(parts)
    assert not has_failed(parts[1:])
