"""What queries want, as system calls and rules."""

import pytest
from zeek_agent_linux._audit.interest import interest_in
from zeek_agent_linux._audit.rules import DIR, EQUAL, EUID, NOT_EQUAL, PID, UID
from zeek_agent_linux._audit.syscalls import EXEC, OPEN

from zeek_agent_core.api import Where


def where(**allowed):
    """Return what a query wants that allows certain values only."""
    return Where(frozenset(), allowed={name: frozenset(each) for name, each in allowed.items()})


@pytest.mark.parametrize(
    ("wanted", "terms"),
    [
        (where(), [()]),
        (where(uid=[0]), [((UID, EQUAL, 0),)]),
        (where(uid=[1, 2]), [((UID, EQUAL, 1),), ((UID, EQUAL, 2),)]),
        (where(uid=[1, 2], pid=[7]), [((PID, EQUAL, 7),)]),
        (where(euid=[5]), [((EUID, EQUAL, 5),)]),
        (where(uid=range(9)), [()]),
        (where(uid=["root"], pid=[-1]), [()]),
        (where(uid=[]), [()]),
    ],
)
def test_conditions_on_the_caller_go_to_the_kernel(wanted, terms):
    """The narrowest condition with few values is left to the kernel, each value as a rule."""
    assert list(interest_in(EXEC, wanted).alternatives) == terms


@pytest.mark.parametrize(
    ("names", "calls"),
    [(["execve"], {"execve"}), (["execve", "x"], {"execve"}), (["x"], set())],
)
def test_only_calls_that_are_wanted_are_recorded(names, calls):
    """A condition on the call decides which are recorded."""
    assert interest_in(EXEC, where(syscall=names)).calls == calls


def test_create_is_another_name():
    """The call creat has the name `create` in rows, so in conditions."""
    assert interest_in(OPEN, where(syscall=["create"])).calls == {"creat"}


def test_our_own_calls_and_other_directories_are_left_out():
    """The agent itself is left out in the kernel, and so is what lies elsewhere."""
    interest = interest_in(OPEN, where(uid=[0]), but_pid=9, directories=["/etc/", "/"])
    assert interest.alternatives == (
        ((UID, EQUAL, 0), (DIR, EQUAL, "/etc"), (PID, NOT_EQUAL, 9)),
        ((UID, EQUAL, 0), (DIR, EQUAL, "/"), (PID, NOT_EQUAL, 9)),
    )
    assert len(interest.rules(("x86_64", "i386"))) == 4
