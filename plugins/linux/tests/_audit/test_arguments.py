"""Arguments of programs, from EXECVE and PROCTITLE records."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._audit.arguments import parse_execve, parse_title, quoted

ARGUMENT = st.binary(max_size=40).map(lambda raw: raw.replace(b"\0", b""))


def written(argument):
    """Return *argument* as the kernel writes a short one."""
    if all(33 <= byte <= 126 and byte != ord('"') for byte in argument):
        return f'"{argument.decode()}"'
    return argument.hex().upper()


def test_arguments_are_in_order():
    """The tenth argument comes after the ninth, not after the first."""
    body = 'argc=12 a0="/bin/echo" a1=612062 a2="plain" ' + " ".join(
        f'a{at}="x{at - 3}"' for at in range(3, 12)
    )
    assert parse_execve([body]) == ["/bin/echo", "a b", "plain", *(f"x{at}" for at in range(9))]


def test_a_long_argument_is_put_together():
    """Pieces in several records, in the order of their numbers, are one argument."""
    piece = "41" * 2000
    bodies = ['argc=5 a0="/bin/true" a1_len=40000 a1[0]=' + piece]
    bodies += [f"a1[{at}]={piece}" for at in range(1, 9)]
    bodies += [f'a1[9]={piece} a2=C3A92078 a3="" a4="-z"']
    assert parse_execve(bodies) == ["/bin/true", "A" * 20_000, "é x", "", "-z"]


def test_a_character_may_be_split():
    """A piece may end in the middle of a character, or of a byte."""
    assert parse_execve(["argc=1 a0_len=4 a0[0]=C a0[1]=3A", "a0[2]=9"]) == ["é"]


def test_odd_arguments_are_kept():
    """What is neither quoted nor hexadecimal stays as it is; undecodable bytes are shown."""
    assert parse_execve(['argc=3 a0=xyz a1=FF41 a2="']) == ["xyz", "\\xffA", ""]


@given(st.lists(ARGUMENT, min_size=1, max_size=30), st.integers(1, 7), st.randoms())
def test_any_list_comes_back(arguments, size, chance):
    """However arguments are split and in whichever order records come, the list is the same."""
    fields = []
    for at, argument in enumerate(arguments):
        value = argument.hex().upper()
        if len(value) > size:
            pieces = [value[i : i + size] for i in range(0, len(value), size)]
            fields.append(f"a{at}_len={len(value)}")
            fields += [f"a{at}[{i}]={piece}" for i, piece in enumerate(pieces)]
        else:
            fields.append(f"a{at}={written(argument)}")
    chance.shuffle(fields)
    cut = random.Random(size).randrange(len(fields) + 1)
    bodies = [" ".join(fields[:cut]), " ".join(fields[cut:])]
    expected = [argument.decode("utf-8", "backslashreplace") for argument in arguments]
    assert parse_execve(bodies) == expected


@given(st.lists(st.text(max_size=100), max_size=5))
def test_any_record_is_read(bodies):
    """Whatever text the records hold, there is a list of arguments."""
    assert all(isinstance(argument, str) for argument in parse_execve(bodies))
    assert all(isinstance(argument, str) for body in bodies for argument in parse_title(body))


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ("proctitle=2F62696E2F7368002D63006120", ["/bin/sh", "-c", "a "]),
        ("proctitle=2F62696E2F736800", ["/bin/sh"]),
        ('proctitle="bash"', ["bash"]),
        ("proctitle=6100006200", ["a", "", "b"]),
        ("proctitle=(null)", []),
        ("proctitle=00", []),
        ("", []),
    ],
)
def test_a_title_is_a_list_of_arguments(body, arguments):
    """Null bytes separate the arguments in a title."""
    assert parse_title(body) == arguments


def test_the_command_line_has_quotes():
    """Each argument stands in double quotes, empty ones too."""
    assert quoted(["a b", "", "c"]) == '"a b" "" "c"'
