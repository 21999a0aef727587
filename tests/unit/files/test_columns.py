"""Tests of ``files_columns``."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.api import Type
from zeek_agent_core.errors import LimitError, ParameterError
from zeek_agent_core.files.columns import extract, ignorer, parse_columns, splitter
from zeek_agent_core.schema.files_columns import IGNORE

FIELDS = st.lists(st.text(alphabet="abc \t", max_size=4), min_size=1, max_size=6)


@given(FIELDS, st.sampled_from([",", "::", "é"]))
def test_literal_separators_undo_joining(fields, separator):
    """Splitting at a separator gives back what was joined with it, empty fields included."""
    specs = parse_columns(",".join(f"${n}:text" for n in range(1, len(fields) + 1)))
    line = separator.join(fields).encode()
    found = extract(line, splitter(separator, len(fields))(line), specs)
    assert found == [(Type.TEXT, field) for field in fields]


@given(st.text(alphabet="ab \t\x0b", max_size=20), st.integers(1, 5))
def test_white_space_separates_runs(line, position):
    """Without separator, columns are the words of the line."""
    specs = parse_columns(f"${position}:text,$0:text")
    raw = line.encode()
    words = line.split(None)
    word = words[position - 1] if position <= len(words) else None
    assert extract(raw, splitter("", position)(raw), specs) == [
        (Type.TEXT, word),
        (Type.TEXT, line),
    ]


async def rows(files, *arguments):
    """Return number and values of each row."""
    quoted = ", ".join("'" + argument.replace("'", "''") + "'" for argument in arguments)
    found = await files.sql(f"SELECT number, columns FROM files_columns({quoted})")
    return [(number, [part["value"] for part in json.loads(columns)]) for number, columns in found]


async def test_numbers_are_real_and_comments_left_out(files):
    """Lines are numbered as in the file; a comment may be indented with a tab."""
    files.write("/a", b"# c\nk v\n\n\t# c\n ; c\nttt x\nt#x y\nk2 v2")
    assert await rows(files, "/a", "$1:text,$2:text") == [
        (2, ["k", "v"]),
        (6, ["ttt", "x"]),
        (7, ["t#x", "y"]),
        (8, ["k2", "v2"]),
    ]


async def test_parameters(files):
    """Separator and expression of the query are used; an empty expression keeps all lines."""
    files.write("/a", b"#a:1\nskip\nb::2\n")
    assert await rows(files, "/a", "$1:text, $3:INT", ":", "^skip") == [
        (1, ["#a", None]),
        (3, ["b", 2]),
    ]
    assert len(await rows(files, "/a", "$0:text", ":", "")) == 3
    assert await rows(files, "/a", "$0:text", ":", "[[:digit:]]") == [(2, ["skip"])]


@given(st.text(alphabet=" \t#;ax\r", max_size=5))
def test_default_expression_is_what_it_says(line):
    """The short cut for the default gives what the expression would."""
    slow = ignorer(f"(?:{IGNORE})")
    assert ignorer(IGNORE)(line.encode()) == slow(line.encode())


@pytest.mark.parametrize(
    ("columns", "part"),
    [
        ("", "''"),
        ("$1", "'$1'"),
        ("$1:text,x", "'x'"),
        ("$1:text,", "''"),
        ("$-1:int", "'$-1:int'"),
        ("$1:string", "unknown type 'string'"),
        ("$1:set", "set"),
        ("1:text", "'1:text'"),
    ],
)
async def test_wrong_columns_are_named(files, columns, part):
    """A specification that cannot be read is an error that names the part."""
    with pytest.raises(ParameterError) as caught:
        await rows(files, "/a", columns)
    assert part in str(caught.value)


async def test_wrong_expression(files):
    """An expression that cannot be compiled is an error; one without end is stopped."""
    with pytest.raises(ParameterError, match="invalid ignore regex"):
        await rows(files, "/a", "$1:text", "", "(")
    files.write("/a", b"a" * 60 + b"!")
    with pytest.raises(LimitError, match="longer than"):
        await rows(files, "/a", "$1:text", "", r"^(a|a|aa)+\1?$")


async def test_bytes_that_are_no_text(files):
    """Undecodable bytes do not end the query."""
    files.write("/a", b"\xff 1")
    assert await rows(files, "/a", "$1:text,$1:blob,$2:count") == [(1, ["\\xff", "\\xff", 1])]
