"""Single records, as the kernel and as auditd's dispatcher give them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._audit.records import (
    CWD,
    SYSCALL,
    Stamp,
    decoded,
    fields,
    identity,
    number,
    parse_line,
    parse_payload,
    parse_stamp,
)

STAMP = "1700000000.123:77"
WORD = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='="'), min_size=1
)


@pytest.mark.parametrize(
    "line",
    [
        b'type=CWD msg=audit(1700000000.123:77): cwd="/home/u"',
        b'node=web-1.example type=CWD msg=audit(1700000000.123:77): cwd="/home/u"',
        b'type=CWD msg=audit(1700000000.123:77): cwd="/home/u"\x1dCWD="/forged"',
        b'type=CWD msg=audit(1700000000.123:77):  cwd="/home/u" \n',
    ],
)
def test_a_line_is_the_record_of_the_kernel(line):
    """What the dispatcher adds makes no difference to the record."""
    payload = b'audit(1700000000.123:77): cwd="/home/u"'
    assert parse_line(line) == parse_payload(CWD, payload) == (CWD, STAMP, 'cwd="/home/u"')


@pytest.mark.parametrize(
    "line",
    [
        b"", b"type=", b"type=CWD", b"type=CWD msg=", b"type=CWD msg=audit(", b"\xff\xfe",
        b"type=USER_LOGIN msg=audit(1700000000.123:77): pid=1", b"type=cwd msg=audit(1.2:3): a=b",
        b"type=UNKNOWN[1999] msg=audit(1700000000.123:77): a=b",
    ],
)  # fmt: skip
def test_other_lines_are_none(line):
    """Cut lines, noise, and types that do not matter give no record."""
    assert parse_line(line) is None


def test_a_call_has_its_fields():
    """Each field is found by its name; enriched ones, in upper case, are not among them."""
    line = (
        b"type=SYSCALL msg=audit(1700000000.123:77): arch=c000003e syscall=59 success=yes "
        b'comm="ls" key=(null)\x1dARCH=x86_64 SYSCALL=execve UID="root"'
    )
    record = parse_line(line)
    assert record[0] == SYSCALL
    assert fields(record[2]) == {
        "arch": "c000003e", "syscall": "59", "success": "yes", "comm": '"ls"', "key": "(null)",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ('"/usr/bin/x"', "/usr/bin/x"),
        ('""', ""),
        ("612062", "a b"),
        ("c3A9", "é"),
        ("ff41", "\\xffA"),
        ("612", "612"),
        ("xyz", "xyz"),
        ("(null)", None),
        ("(none)", None),
        ("", None),
        (None, None),
        ('"', None),
    ],
)
def test_values_are_decoded(value, meaning):
    """Quoted text and hexadecimal digits are decoded; what is neither stays; nothing is NULL."""
    assert decoded(value) == meaning


@pytest.mark.parametrize(
    ("stamp", "meaning"),
    [
        (STAMP, Stamp(1_700_000_000_123_000, 77)),
        ("1.000:0", Stamp(1_000_000, 0)),
        ("1700000000.123", None),
        ("1700000000.12:77", None),
        ("-1.123:77", None),
        ("9" * 40 + ".123:1", None),
        ("1700000000.123:77x", None),
    ],
)
def test_a_stamp_has_time_and_number(stamp, meaning):
    """The time is in microseconds; anything odd is no stamp."""
    assert parse_stamp(stamp) == meaning


def test_numbers_are_read_or_null():
    """IDs that were never set, and text that is no number, are NULL; 64 bits are the most."""
    assert [number("-115"), number("0100755", 8), number("1f", 16)] == [-115, 33261, 31]
    assert [number(None), number(""), number("x"), number("9" * 30)] == [None] * 4
    assert [identity("4294967295"), identity("0"), identity(None)] == [None, 0, None]


@given(st.dictionaries(WORD, WORD, max_size=8))
def test_fields_come_back(values):
    """Fields that are joined as the kernel does it are found again."""
    assert fields(" ".join(f"{name}={value}" for name, value in values.items())) == values


@given(st.binary(max_size=300))
def test_nothing_is_too_odd(raw):
    """Whatever bytes come, there is a record or none, never an error."""
    parse_line(raw)
    parse_line(b"type=SYSCALL msg=audit(" + raw)
    record = parse_payload(SYSCALL, b"audit(" + raw)
    if record is not None:
        parse_stamp(record[1])
        for value in fields(record[2]).values():
            decoded(value)
            number(value)
            identity(value)


@given(st.binary(max_size=200))
def test_text_survives_the_way_the_kernel_writes_it(raw):
    """Bytes that the kernel quotes, or writes as digits, come back as text."""
    plain = all(33 <= byte <= 126 and byte != ord('"') for byte in raw)
    value = f'"{raw.decode()}"' if plain else raw.hex().upper()
    assert decoded(value) == raw.decode("utf-8", "backslashreplace")
