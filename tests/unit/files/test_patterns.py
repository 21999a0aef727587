"""Tests of taking patterns apart."""

import pytest

from zeek_agent_core.errors import ParameterError
from zeek_agent_core.files.patterns import parse_pattern


@pytest.mark.parametrize(
    ("pattern", "drive", "parts"),
    [
        ("C:\\Users\\*", "C:", ["Users", "*"]),
        ("c:/Users//x", "c:", ["Users", "x"]),
        ("\\\\server\\share\\a?", "\\\\server\\share", ["a?"]),
        ("\\\\server\\share", "\\\\server\\share", []),
        ("/etc/*", "", ["etc", "*"]),
    ],
)
def test_windows_patterns(pattern, drive, parts):
    """Drives, shares and both separators are understood for Windows."""
    parsed = parse_pattern(pattern, windows=True)
    assert (parsed.drive, [part.text for part in parsed.parts]) == (drive, parts)


def test_windows_ignores_case():
    """Names on Windows match in either case; a path narrows to its own spelling."""
    pattern = parse_pattern("C:\\*.TXT", windows=True)
    assert pattern.parts[0].matches("a.txt")
    narrowed = pattern.narrowed("C:\\b.txt")
    assert narrowed.parts[0].matches("b.txt")
    assert not narrowed.parts[0].matches("B.TXT")
    assert pattern.narrowed("c:\\b.txt") is None
    assert pattern.narrowed("D:\\b.txt") is None


@pytest.mark.parametrize("pattern", ["C:", "C:x", "x\\y"])
def test_windows_relative(pattern):
    """Paths relative to a drive's directory are refused."""
    with pytest.raises(ParameterError, match="not absolute"):
        parse_pattern(pattern, windows=True)


def test_too_long():
    """A pattern longer than any path is refused."""
    with pytest.raises(ParameterError, match="4096"):
        parse_pattern("/" + "*/" * 4096)
