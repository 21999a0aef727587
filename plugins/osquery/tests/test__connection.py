"""Answers that are late, broken, too large or of something else end in an error that says so."""

import struct
import threading
import time

import pytest
from osquery.extensions.ttypes import ExtensionStatus
from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TTransport import TMemoryBuffer
from zeek_agent_osquery._errors import (
    GarbledError,
    LateError,
    LostError,
    OsqueryError,
    RefusedError,
    TooMuchError,
)
from zeek_agent_osquery._osquery import Osquery

from plugins.osquery.tests.hostile import DONE, reply, serving
from zeek_agent_core.api import Host

ROWS = [{"name": "init", "pid": "1"}, {"name": "sh", "pid": "2"}]


@pytest.fixture
def path(tmp_path):
    """Return where the server listens."""
    return str(tmp_path / "em")


@pytest.fixture
def asking(path):
    """Return a maker of what asks the server."""
    made = []

    def make(**settings):
        settings["extensions_socket"] = path
        made.append(Osquery(Host(settings={"osquery": settings})))
        return made[-1]

    yield make
    for osquery in made:
        osquery.close()


def ask(osquery, sql="SELECT"):
    """Return the rows for *sql*."""
    (rows,) = [answer.rows for answer in osquery.query(sql) if answer is not None]
    return rows


def test_rows(path, asking):
    """An answer of the published package's is read as it was meant."""

    def answer(connection, _, sequence):
        connection.sendall(reply(ROWS, sequence))

    with serving(path, answer):
        assert ask(asking()) == ROWS


def test_bytes_arrive_one_by_one(path, asking):
    """It does not matter where the answer is cut."""

    def answer(connection, _, sequence):
        for byte in reply(ROWS, sequence):
            connection.sendall(bytes([byte]))
            time.sleep(0.0001)

    with serving(path, answer):
        assert ask(asking()) == ROWS


def test_one_connection_is_enough(path, asking):
    """Questions one after the other share a connection; those at the same time have their own."""

    def answer(connection, _, sequence):
        connection.sendall(reply(ROWS, sequence))

    with serving(path, answer) as made:
        osquery = asking()
        for _ in range(3):
            assert ask(osquery) == ROWS
        assert len(made) == 1
        first, second = osquery.query("a"), osquery.query("b")
        assert next(first).rows == next(second).rows == ROWS
        osquery.close()
        assert len(made) <= 2


def test_text_that_is_not_utf8(path, asking):
    """Bytes that are not UTF-8 are shown as such, and the connection stays in step."""
    broken = [{"name": b"a\xff\xfeb", "pid": "1"}]

    def answer(connection, _, sequence):
        connection.sendall(reply(broken if sequence == 1 else ROWS, sequence))

    with serving(path, answer) as made:
        osquery = asking()
        assert ask(osquery) == [{"name": r"a\xff\xfeb", "pid": "1"}]
        assert ask(osquery) == ROWS
        assert len(made) == 1


def test_rows_with_other_columns(path, asking):
    """Each row may have columns of its own, none at all included."""
    mixed = [{"a": "1"}, {"b": "2"}, {}, {"a": "3", "b": ""}, {"a": "4", "b": "5"}]

    def answer(connection, _, sequence):
        connection.sendall(reply(mixed, sequence))

    with serving(path, answer):
        assert ask(asking()) == mixed


def test_a_status_that_is_no_success(path, asking):
    """A code other than 0 is an error with osquery's message, never an empty result."""

    def answer(connection, _, sequence):
        failed = ExtensionStatus(code=1, message="no such table: x")
        connection.sendall(reply([] if sequence == 1 else ROWS, sequence,
                                 status=failed if sequence == 1 else DONE))  # fmt: skip

    with serving(path, answer) as made:
        osquery = asking()
        with pytest.raises(RefusedError, match="osquery says: no such table: x"):
            ask(osquery)
        assert ask(osquery) == ROWS
        assert len(made) == 1


def test_an_exception_of_the_server(path, asking):
    """An exception in osquery is an error with its message; the connection goes on."""

    def answer(connection, method, sequence):
        memory = TMemoryBuffer()
        from thrift.protocol.TBinaryProtocol import TBinaryProtocol

        protocol = TBinaryProtocol(memory)
        protocol.writeMessageBegin(method, TMessageType.EXCEPTION, sequence)
        TApplicationException(6, "Internal error").write(protocol)
        protocol.writeMessageEnd()
        connection.sendall(memory.getvalue())

    with serving(path, answer), pytest.raises(RefusedError, match="query: Internal error"):
        ask(asking())


def hung(connection, _method, _sequence):
    """Answer nothing."""


def slow(connection, _, sequence):
    """Send the beginning of an answer, and then nothing."""
    connection.sendall(reply(ROWS, sequence)[:40])


def dying(connection, _, sequence):
    """Send the beginning of an answer, and then the end of the connection."""
    connection.sendall(reply(ROWS, sequence)[:40])
    connection.shutdown(2)


def out_of_turn(connection, _, sequence):
    """Answer another question."""
    connection.sendall(reply(ROWS, sequence + 1))


def another_method(connection, _, sequence):
    """Answer a question that is about something else."""
    connection.sendall(reply(ROWS, sequence, method="getQueryColumns"))


def garbage(connection, _method, _sequence):
    """Send what is no Thrift."""
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def twice(connection, _, sequence):
    """Answer twice."""
    connection.sendall(reply(ROWS, sequence) * 2)


def many(connection, _, sequence):
    """Answer with more rows than allowed."""
    connection.sendall(reply([{"a": "1"}] * 30, sequence))


def large(connection, _, sequence):
    """Answer with more bytes than allowed."""
    connection.sendall(reply([{"a": "x" * (3 << 20)}], sequence))


def boastful(connection, _, sequence):
    """Announce a value of 2 GiB."""
    whole = bytearray(reply([{"a": "xyz"}], sequence))
    at = whole.rindex(b"xyz") - 4
    connection.sendall(bytes(whole[:at]) + struct.pack(">i", 0x7FFFFFFF) + b"xyz")


def negative(connection, _, sequence):
    """Announce a value of less than nothing."""
    whole = bytearray(reply([{"a": "xyz"}], sequence))
    at = whole.rindex(b"xyz") - 4
    connection.sendall(bytes(whole[:at]) + struct.pack(">i", -2) + b"xyz")


def numbers(connection, _, sequence):
    """Answer with maps of text to numbers."""
    whole = reply([{"a": "xyz"}], sequence)
    connection.sendall(whole.replace(b"\x0b\x0b\0\0\0\1", b"\x0b\x08\0\0\0\1"))


def deep(connection, method, sequence):
    """Answer with structs within structs."""
    name = method.encode()
    head = struct.pack(">II", 0x80010002, len(name)) + name + struct.pack(">i", sequence)
    connection.sendall(head + b"\x0c\0\0" + b"\x0c\0\x09" * 1000)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (hung, LateError, "osquery gave no answer to query within 0.3 s"),
        (slow, LateError, "osquery did not finish its answer to query within 0.3 s"),
        (dying, LostError, "osquery closed the connection"),
        (out_of_turn, GarbledError, "an answer out of turn: query 2 instead of query 1"),
        (another_method, GarbledError, "out of turn: getQueryColumns 1 instead of query 1"),
        (garbage, GarbledError, "no Thrift reply: it begins with 0x48545450"),
        (twice, GarbledError, "more came than the answer to query"),
        (many, TooMuchError, r"the answer has 30 rows, more than 20; add conditions, or raise"),
        (large, TooMuchError, r"larger than 1 MiB; .* or raise \[osquery\] max_reply"),
        (boastful, TooMuchError, "larger than 1 MiB"),
        (negative, TooMuchError, "larger than 1 MiB"),
        (numbers, GarbledError, "a row is no map of text to text"),
        (deep, GarbledError, "nested too deep"),
    ],
)
def test_bad_answers(path, asking, answer, kind, message):
    """The error says what is wrong, and the next question has a connection of its own."""
    asked = threading.Event()

    def first_badly(connection, method, sequence):
        if asked.is_set():
            connection.sendall(reply(ROWS, sequence))
        else:
            asked.set()
            answer(connection, method, sequence)

    with serving(path, first_badly) as made:
        osquery = asking(timeout=0.3, max_rows=20, max_reply=1)
        with pytest.raises(kind, match=message):
            ask(osquery)
        assert osquery.facts.errors == 1
        osquery.facts.trouble = None  # as the discovery does once osquery answers a ping
        assert ask(osquery) == ROWS
        assert len(made) == 2


def test_no_more_questions_to_who_does_not_answer(path, asking):
    """After a timeout nobody else waits for osquery, until it is known to answer again."""
    with serving(path, hung) as made:
        osquery = asking(timeout=0.2)
        alarms = []
        osquery.alarm = lambda: alarms.append(1)
        with pytest.raises(LateError):
            ask(osquery)
        for _ in range(3):
            with pytest.raises(LostError, match="osquery gave no answer to query within"):
                ask(osquery)
        assert len(made) == 1
        assert alarms


def test_who_waits_can_give_up(path, asking):
    """A question can be abandoned while it waits; its connection is not used again."""
    with serving(path, hung) as made:
        osquery = asking()
        waiting = osquery.query("SELECT")
        assert next(waiting) is None
        waiting.close()
        osquery.timeout = 0.2
        with pytest.raises(LateError):
            ask(osquery)
        assert len(made) == 2


def test_an_idle_connection_may_be_dead(path, asking):
    """A question on a connection that osquery closed meanwhile is asked again on another."""

    def once(connection, _, sequence):
        connection.sendall(reply(ROWS, sequence))
        connection.shutdown(2)

    with serving(path, once) as made:
        osquery = asking()
        assert ask(osquery) == ROWS
        assert ask(osquery) == ROWS
        assert len(made) == 2
        assert osquery.facts.errors == 0


def test_closing_ends_who_waits(path, asking):
    """When the agent ends, who waits for osquery does not wait any longer."""
    with serving(path, hung):
        osquery = asking(timeout=60.0)
        failures = []

        def wait():
            try:
                ask(osquery)
            except OsqueryError as error:
                failures.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.2)
        osquery.close()
        waiting.join(5)
        assert not waiting.is_alive()
        assert len(failures) == 1
