"""Zeek's own log format."""

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.local.samples import NOON, own, result
from zeek_agent_core.local.zeeklog import ZeekLog, layout_of
from zeek_agent_core.query import ResultColumn
from zeek_agent_core.values import Port, Type, to_sql

PROCESSES = ("name", "pid", "uid", "gid", "ppid", "priority", "startup")
KINDS = (Type.TEXT, *[Type.COUNT] * 4, Type.TEXT, Type.INTERVAL)


@pytest.fixture
def sink(tmp_path, clock, rotation):
    """Return a sink that writes to the test's directory."""
    with_limits = {"hid": "H1", "host": "web", "rotation": rotation(), "clock": clock}
    zeek = ZeekLog(tmp_path, **with_limits)
    yield zeek
    zeek.close()


def lines(path):
    """Return the lines of the file, and what follows the last."""
    return path.read_text("utf-8").split("\n")


def test_stock_log_is_what_zeek_would_write(sink, stock, tmp_path, clock):
    """The processes log has Zeek's header, columns, types and end."""
    columns = zip(PROCESSES, KINDS, strict=True)
    gone = [("cron", 7, 0, 0, 1, "20", 12_500_000_000)]
    new = [("", 8, None, 0, 1, "-", None), ("a\tb\\c", 9, 1, 1, 1, "(empty)", 1)]
    sink.write(stock("processes"), result(columns, deleted=gone, added=new))
    clock.now += 61
    sink.close()
    assert lines(tmp_path / "zeek-agent-processes.log") == [
        r"#separator \x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        "#unset_field\t-",
        "#path\tzeek-agent-processes",
        "#open\t2026-11-21-12-00-00",
        "#fields\tt\thid\thost\tchange\tname\tpid\tuid\tgid\tppid\tpriority\tstartup",
        "#types\ttime\tstring\tstring\tstring\tstring\tcount\tcount\tcount\tcount\tstring\tinterval",
        "1795262400.000000\tH1\tweb\tgone\tcron\t7\t0\t0\t1\t20\t12.500000",
        "1795262400.000000\tH1\tweb\tnew\t(empty)\t8\t-\t0\t1\t\\x2d\t-",
        "1795262400.000000\tH1\tweb\tnew\ta\\x09b\\\\c\t9\t1\t1\t1\t\\x28empty)\t0.000000",
        "#close\t2026-11-21-12-01-01",
        "",
    ]


@pytest.mark.parametrize(
    ("name", "fields", "types"),
    [
        (
            "files",
            "path type_ uid gid mode mtime size",
            "string string count count string time count",
        ),
        (
            "sockets",
            "pid process family protocol local_addr local_port remote_addr remote_port state",
            "count string string count addr count addr count string",
        ),
        (
            "ssh-configs",
            "path number columns.option_.key columns.option_.value",
            "string count string string",
        ),
        ("ssh-authorized-keys", "path number content", "string count string"),
        (
            "users",
            "name full_name is_admin is_system uid gid home shell email",
            "string string bool bool string count string string string",
        ),
    ],
)
def test_stock_logs_have_zeeks_columns(stock, name, fields, types):
    """Names and types are those of the Zeek package, whatever the result calls them."""
    layout = layout_of(stock(name), result([]))
    assert layout.fields.split("\t") == ["t", "hid", "host", "change", *fields.split()]
    assert layout.types.split("\t") == ["time", *["string"] * 3, *types.split()]


def test_system_logs_have_no_change(sink, stock, tmp_path):
    """The log of events has no column for the change, and leaves surplus columns out."""
    columns = [("time", Type.TIME), *((n, Type.TEXT) for n in ("process", "level", "m", "eventid"))]
    sink.write(stock("system-logs"), result(columns, added=[(1_500_000, "sshd", "6", "hi", "7")]))
    written = lines(tmp_path / "zeek-agent-system-logs.log")
    assert written[6] == "#fields\tt\thid\thost\ttime_\tprocess\tlevel\tmessage"
    assert written[8] == "1795262400.000000\tH1\tweb\t1.500000\tsshd\t6\thi"


def test_record_becomes_columns(sink, stock, tmp_path):
    """The parts of an SSH option stand in columns of their own; missing ones are unset."""
    columns = [("path", Type.TEXT), ("number", Type.COUNT), ("columns", Type.RECORD)]
    option = to_sql(Type.RECORD, [(Type.TEXT, "Port"), (Type.TEXT, "22")])
    half = to_sql(Type.RECORD, [(Type.TEXT, "Port")])
    rows = [("/x", 3, option), ("/x", 4, half), ("/x", 5, None)]
    sink.write(stock("ssh-configs"), result(columns, added=rows))
    written = lines(tmp_path / "zeek-agent-ssh-configs.log")[8:11]
    assert [line.split("\t")[4:] for line in written] == [
        ["/x", "3", "Port", "22"],
        ["/x", "4", "Port", "-"],
        ["/x", "5", "-", "-"],
    ]


def show(kind, value, element=None):
    """Return how a value stands in the log, and its type there."""
    column = ResultColumn("x", kind, element)
    made = result([column], [(value,)])
    layout = layout_of(own(), made)
    return layout.lines("", made.rows)[:-1], layout.types.split("\t")[-1]


@pytest.mark.parametrize(
    ("kind", "value", "element", "text", "zeek"),
    [
        (Type.BOOL, True, None, "T", "bool"),
        (Type.BOOL, False, None, "F", "bool"),
        (Type.REAL, 1.0, None, "1.0", "double"),
        (Type.REAL, 3.14, None, "3.14", "double"),
        (Type.REAL, 1e21, None, "1000000000000000000000.0", "double"),
        (Type.INT, -5, None, "-5", "int"),
        (Type.ENUM, "a", None, "a", "enum"),
        (Type.TIME, 1_795_262_400_123_456, None, "1795262400.123456", "time"),
        (Type.INTERVAL, 1_500_000_000, None, "1.500000", "interval"),
        (Type.ADDRESS, "::1", None, "::1", "addr"),
        (Type.ADDRESS, "", None, "-", "addr"),
        (Type.BLOB, b"a\xffb", None, r"a\\xffb", "string"),
        (Type.PORT, Port(80, "tcp"), None, "80", "port"),
        (Type.SET, {"b,c", "a"}, Type.TEXT, r"a,b\x2cc", "set[string]"),
        (Type.SET, [], Type.ADDRESS, "(empty)", "set[addr]"),
        (Type.VECTOR, ["", "-", None], Type.TEXT, r"(empty),\x2d,-", "vector[string]"),
        (Type.VECTOR, [1_500_000], Type.TIME, "1.500000", "vector[time]"),
        (Type.VECTOR, [True], Type.BOOL, "T", "vector[bool]"),
        (Type.VECTOR, [Port(1, "udp")], Type.PORT, "1", "vector[port]"),
        (Type.RECORD, [(Type.TEXT, "a"), (Type.BOOL, True)], None, "a,T", "vector[string]"),
    ],
)
def test_each_type_has_zeeks_form(kind, value, element, text, zeek):
    """A stored value of each type reads as Zeek writes it, under Zeek's type."""
    assert show(kind, to_sql(kind, value, element), element) == (text, zeek)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é日", "é日"),
        ("é\n日", r"\xc3\xa9\x0a\xe6\x97\xa5"),
        ("é\t日", r"é\x09日"),
        ("\x85", r"\xc2\x85"),
        ("\x1b[31m", r"\x1b[31m"),
        ("#close", "#close"),
    ],
)
def test_text_is_escaped_as_zeek_does(value, text):
    """Valid UTF-8 stays, control characters make Zeek escape all that is not ASCII."""
    assert show(Type.TEXT, value)[0] == text


def test_untyped_columns_take_the_type_of_the_first_value(sink, tmp_path):
    """A column of an expression is typed by its first value; others are written as they are."""
    columns = ["count(*)", "x", "x"]
    rows = [(None, None, 1.5), (3, None, None), ("three", None, 2)]
    sink.write(own(), result([(c,) for c in columns], rows))
    written = lines(tmp_path / "mine.log")
    assert written[6].split("\t")[5:] == ["count(*)", "x", "x_2"]
    assert written[7].split("\t")[5:] == ["int", "string", "double"]
    assert [line.split("\t")[4:] for line in written[8:11]] == [
        ["-", "-", "1.5"],
        ["3", "-", "-"],
        ["three", "-", "2.0"],
    ]


def test_other_columns_begin_a_new_file(sink, tmp_path):
    """When the columns of a log change, the file is closed and put away."""
    sink.write(own(), result([("a", Type.INT)], [(1,)]))
    sink.write(own(), result([("b", Type.INT)], [(2,)]))
    sink.write(own(), result([("b", Type.INT)], [(3,)]))
    first = lines(tmp_path / "mine.2026-11-21-12-00-00.log")
    assert first[-2].startswith("#close")
    assert first[6].endswith("\ta")
    assert [line[-2:] for line in lines(tmp_path / "mine.log")[8:10]] == ["\t2", "\t3"]


def test_empty_result_begins_no_file(sink, tmp_path):
    """A run without rows leaves no trace."""
    sink.write(own(), result([("a", Type.INT)]))
    sink.close()
    assert list(tmp_path.iterdir()) == []


def unescape(field: str) -> str:
    """Return the text that a reader finds in *field*."""
    pattern = rb"\\\\|\\x([0-9a-f]{2})"
    raw = re.sub(
        pattern, lambda m: bytes([int(m[1], 16)]) if m[1] else b"\\", field.encode("utf-8")
    )
    return raw.decode("utf-8")


def read(field: str) -> str | None:
    """Return the value that a reader finds in *field*."""
    return {"-": None, "(empty)": ""}.get(field, unescape(field))


texts = st.text() | st.sampled_from(["-", "(empty)", "#close", "\\x41", "a,b", "\x1b[2J\n"])


@given(st.lists(st.tuples(texts | st.none(), texts), min_size=1), texts)
def test_any_text_stays_on_its_line(rows, host):
    """Whatever text there is, a row is one line with all its fields, and reads back."""
    made = result([("a", Type.TEXT), ("b", None)], rows)
    written = layout_of(own(), made).lines("", rows)
    assert written.endswith("\n")
    assert [tuple(map(read, line.split("\t"))) for line in written[:-1].split("\n")] == rows


@given(st.lists(texts), st.sampled_from([Type.SET, Type.VECTOR]))
def test_any_text_stays_in_its_set(items, kind):
    """Elements read back from a set whatever they hold."""
    shown, _ = show(kind, to_sql(kind, items, Type.TEXT), Type.TEXT)
    wanted = sorted(items) if kind is Type.SET else items
    read_back = [] if shown == "(empty)" and not items else [read(i) for i in shown.split(",")]
    assert read_back == wanted


@pytest.mark.skipif(not shutil.which("zeek-cut"), reason="zeek-cut is not installed")
def test_zeek_cut_reads_the_log(sink, stock, tmp_path):
    """Zeek's own tool finds the columns by name."""
    columns = zip(PROCESSES, KINDS, strict=True)
    sink.write(stock("processes"), result(columns, added=[("a b", 7, 0, 0, 1, "20", None)]))
    sink.close()
    with (tmp_path / "zeek-agent-processes.log").open() as log:
        command = [shutil.which("zeek-cut"), "-u", "t", "change", "name", "startup"]
        cut = subprocess.run(command, stdin=log, capture_output=True, text=True, check=True)
    assert cut.stdout == "2026-11-21T12:00:00+0000\tnew\ta b\t-\n"


def test_time_without_a_run_is_now(tmp_path, clock, rotation):
    """A result that does not say when it was collected carries the time of writing."""
    zeek = ZeekLog(tmp_path, hid="", host="-", rotation=rotation(), clock=clock)
    zeek.write(own(), result([("a", Type.INT)], [(1,)], collected=0))
    assert lines(tmp_path / "mine.log")[8] == f"{NOON:.6f}\t(empty)\t\\x2d\t-\t1"
    zeek.close()
