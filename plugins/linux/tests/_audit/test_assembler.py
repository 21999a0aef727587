"""Records to events: interleaved, late, lost, too many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux._audit import assembler as module
from zeek_agent_linux._audit.assembler import Assembler
from zeek_agent_linux._audit.records import CWD, EOE, EXECVE, PATH, PROCTITLE, SYSCALL

CALL = "arch=c000003e syscall=59 success=yes pid=1"
WHOLE = ((SYSCALL, CALL), (EXECVE, 'argc=1 a0="x"'), (CWD, 'cwd="/"'), (PROCTITLE, "proctitle=78"))


def record(serial, kind, body=""):
    """Return a record of the event *serial*."""
    return (kind, f"1700000000.123:{serial}", body)


def records(serial, parts=WHOLE, *, eoe=True):
    """Return the records of a whole event."""
    made = [record(serial, kind, body) for kind, body in parts]
    return [*made, record(serial, EOE)] if eoe else made


def serials(assembler):
    """Return the numbers of the events that are complete."""
    return [event.stamp.serial for event in assembler.take()]


def fed(*all_records, most_open=module.MOST_OPEN):
    """Return an assembler that was given the records, all at the moment 0."""
    assembler = Assembler(most_open)
    for each in all_records:
        assembler.add(each, 0.0)
    return assembler


def test_an_event_ends_with_its_last_record():
    """With EOE an event is complete at once, with all its records in order."""
    assembler = fed(*records(7))
    (event,) = assembler.take()
    assert (event.stamp.serial, event.stamp.time) == (7, 1_700_000_000_123_000)
    assert event.records == list(WHOLE)
    assert (event.syscall, event.call["pid"]) == ("execve", "1")
    assert event.bodies(CWD) == ['cwd="/"']
    assert assembler.take() == []
    assert not assembler.is_waiting


@given(
    st.integers(2, 6).flatmap(lambda n: st.permutations([i for i in range(n) for _ in range(5)]))
)
def test_interleaved_events_are_kept_apart(order):
    """Whatever the order in which their records come, each event has its own."""
    waiting = {serial: records(serial) for serial in set(order)}
    last = []
    assembler = Assembler()
    for serial in order:
        assembler.add(waiting[serial].pop(0), 0.0)
        if not waiting[serial]:
            last.append(serial)
    events = assembler.take()
    assert [event.stamp.serial for event in events] == last
    assert all(event.records == list(WHOLE) for event in events)
    assert assembler.incomplete == assembler.dropped == 0


@given(st.lists(st.booleans(), min_size=20, max_size=20))
def test_every_event_is_told_or_counted(kept):
    """Whichever records are lost: an event with its call comes, once; others are counted."""
    sent = [each for serial in range(4) for each in records(serial)]
    got = [each for each, is_kept in zip(sent, kept, strict=True) if is_kept]
    assembler = fed(*got)
    assembler.expire(100.0)
    called = [each[1] for each in got if each[0] == SYSCALL]
    heard = {each[1] for each in got if each[0] != EOE}
    found = [f"1700000000.123:{serial}" for serial in serials(assembler)]
    assert sorted(found) == sorted(called)
    assert assembler.incomplete == len(heard) - len(called)
    assert not assembler.is_waiting


def test_without_its_end_an_event_waits_for_newer_ones():
    """A title is the last record but for EOE; with something newer it is enough, after 0.1 s."""
    assembler = fed(*records(1, eoe=False))
    assembler.expire(1.0)
    assert serials(assembler) == []
    assembler.add(record(2, SYSCALL, CALL), 1.0)
    assembler.expire(1.05)
    assert serials(assembler) == [1]
    assembler.expire(1.2)
    assert (serials(assembler), assembler.is_waiting) == ([], True)


def test_no_event_waits_longer_than_two_seconds():
    """Without title and end an event is complete as it is, two seconds after its first record."""
    assembler = fed(*records(1, WHOLE[:2], eoe=False))
    assembler.expire(1.9)
    assert serials(assembler) == []
    assembler.expire(2.0)
    assert serials(assembler) == [1]


def test_numbers_may_come_out_of_order():
    """An event with a lower number than the one before is an event like any other."""
    assembler = fed(*records(9), *records(3), *records(7))
    assert (serials(assembler), assembler.newest, assembler.begun) == ([9, 3, 7], 9, 3)


def test_the_oldest_gives_way():
    """With too many open events the oldest counts as complete."""
    assembler = fed(*(record(serial, SYSCALL, CALL) for serial in range(5)), most_open=3)
    assert serials(assembler) == [0, 1]
    assembler.finish()
    assert serials(assembler) == [2, 3, 4]


def test_one_event_cannot_grow_for_ever():
    """Records beyond the bound of an event are dropped, and counted."""
    extra = [record(1, EXECVE, "a1[0]=41")] * (module.MOST_RECORDS + 10)
    assembler = fed(record(1, SYSCALL, CALL), *extra, record(1, EOE))
    (event,) = assembler.take()
    assert (len(event.records), assembler.dropped) == (module.MOST_RECORDS, 11)


def test_odd_stamps_are_counted():
    """A record without time and number belongs nowhere."""
    assembler = fed((CWD, "x", ""), (EOE, "x", ""))
    assert (assembler.dropped, assembler.is_waiting) == (1, False)


def test_other_records_do_not_matter():
    """Records of other types open no event, but their number is taken."""
    assembler = fed(record(1, 1305), record(1, 1305), record(2, 1100), *records(3))
    assert (serials(assembler), assembler.begun, assembler.incomplete) == ([3], 3, 0)


def test_an_event_is_counted_once():
    """Whether its first record was lost, and one of another type comes before the rest."""
    assembler = fed(record(1, 1323), record(1, CWD), record(1, EOE), *records(2))
    assert (assembler.begun, assembler.incomplete) == (2, 1)


def test_a_rest_is_a_loss():
    """Of a program that gained capabilities a record of that may be all that came."""
    assembler = fed(record(1, 1321), record(1, EOE), *records(2))
    assert (serials(assembler), assembler.incomplete) == ([2], 1)


def test_calls_through_a_ring_are_no_loss():
    """An event of io_uring has another first record, and no call that tables know."""
    assembler = fed(record(1, 1336, "uring_op=18"), record(1, PATH, "item=0"), record(1, EOE))
    (event,) = assembler.take()
    assert (event.syscall, assembler.incomplete) == (None, 0)


@pytest.mark.parametrize("call", ["", "syscall=59", "arch=zz syscall=xx", "arch=c000003e"])
def test_an_odd_call_has_no_name(call):
    """A call that is not known, or cut, has no name; the event is there all the same."""
    assembler = fed(record(1, SYSCALL, call), record(1, EOE))
    events = assembler.take()
    assert [event.syscall for event in events] == [None] * len(events)
