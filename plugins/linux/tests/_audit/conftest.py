"""What the tests of auditing share."""

import pytest
from zeek_agent_linux._audit.assembler import Assembler
from zeek_agent_linux._audit.records import EOE, SYSCALL, Record

TAIL = (
    "auid=4294967295 uid=1001 gid=1001 euid=1001 suid=1001 fsuid=1001 egid=1001 sgid=1001 "
    'fsgid=1001 tty=(none) ses=4294967295 comm="x" exe="/usr/bin/x" key="zeek-agent"'
)


@pytest.fixture
def event():
    """Return a maker of events: the fields of the call, then other records as (type, fields)."""

    def made(call, *others):
        head = call if "arch=" in call else f"arch=c000003e {call}"
        ids = "" if "pid=" in call else " ppid=400 pid=500"
        assembler = Assembler()
        records = [(SYSCALL, f"{head}{ids} {TAIL}"), *others, (EOE, "")]
        for kind, body in records:
            assembler.add(Record(kind, "1700000000.123:77", body), 0.0)
        (complete,) = assembler.take()
        return complete

    return made
