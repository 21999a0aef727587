"""Fields and filters of the trace event for TCP states."""

import socket

from zeek_agent_linux._socktrace import filter_text, parse_ends

from zeek_agent_core.table import Where


def test_ends():
    """The addresses are those of the family; other families have none."""
    v4 = socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.2")
    v6 = tuple(socket.inet_pton(socket.AF_INET6, a) for a in ("::ffff:10.0.0.1", "2001:db8::1"))
    ends = parse_ends(socket.AF_INET, 1, 2, v4, v6)
    assert tuple(ends) == ("IPv4", "10.0.0.1", 1, "10.0.0.2", 2)
    ends = parse_ends(socket.AF_INET6, 1, 2, v4, v6)
    assert tuple(ends) == ("IPv6", "::ffff:10.0.0.1", 1, "2001:db8::1", 2)
    assert parse_ends(socket.AF_UNIX, 1, 2, v4, v6) is None


def text(**allowed):
    """Return the filter for some conditions."""
    return filter_text(Where(frozenset(), allowed=allowed))


def test_filters():
    """Ports and families are filtered by, but never what is needed to know the owner."""
    assert "port" not in text()
    assert "(dport == 443 || newstate == 10 || oldstate == 10)" in text(remote_port={443})
    assert "(sport == 22 || (oldstate == 7 && newstate == 2))" in text(local_port={22})
    assert "(family == 2)" in text(family={"IPv4"})
    assert "port" not in text(local_port=set(range(100)), remote_port={"x", -1})
