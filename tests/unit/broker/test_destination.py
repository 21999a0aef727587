"""Tests of how destinations are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeek_agent_core.broker.destination import Endpoint, Scheme, parse, parse_all
from zeek_agent_core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zeek", Endpoint("zeek")),
        (" zeek.example.org:1234 ", Endpoint("zeek.example.org", 1234)),
        ("10.1.2.3:9997", Endpoint("10.1.2.3", 9997)),
        ("[::1]", Endpoint("::1")),
        ("[2001:db8::1]:9997", Endpoint("2001:db8::1", 9997)),
        ("[fe80::1%eth0]:1", Endpoint("fe80::1%eth0", 1)),
        ("ws://zeek", Endpoint("zeek", scheme=Scheme.PLAIN)),
        ("WSS://zeek:443/", Endpoint("zeek", 443, Scheme.TLS)),
        ("wss://proxy:443/agents", Endpoint("proxy", 443, Scheme.TLS, "/agents")),
        ("broker://[::1]:9999", Endpoint("::1", 9999, Scheme.NATIVE)),
    ],
)
def test_one_endpoint(text, expected):
    """Each form of an endpoint is understood."""
    assert parse(text).endpoints == (expected,)


def test_several():
    """Endpoints are separated by commas; destinations are each kept once."""
    both = parse("a:1, wss://b:2")
    assert both.endpoints == (Endpoint("a", 1), Endpoint("b", 2, Scheme.TLS))
    assert str(both) == "a:1,b:2"
    assert parse_all(["a", "b", "a:27759"]) == (parse("a"), parse("b"))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "it is empty"),
        ("a,,b", "in 'a,,b': it is empty"),
        (":1", "the host is missing"),
        ("zeek:", "'' is no port"),
        ("zeek:0", "from 1 to 65535"),
        ("zeek:65536", "from 1 to 65535"),
        ("zeek:" + "9" * 5000, "from 1 to 65535"),
        ("zeek:\u0663", "is no port"),
        ("zeek:http", "'http' is no port"),
        ("::1", "stands in brackets"),
        ("2001:db8::1:27759", "stands in brackets"),
        ("[::1", "a bracket is not closed"),
        ("[1.2.3.4]", "'1.2.3.4' is no IPv6 address"),
        ("300.1.1.1", "'300.1.1.1' is no IPv4 address"),
        ("two words", "'two words' is no host name"),
        ("user@zeek", "is no host name"),
        ("http://zeek", "there is no scheme 'http'"),
        ("zeek/path", "a path needs"),
        ("broker://zeek/path", "a path needs"),
    ],
)
def test_what_does_not_parse(text, hint):
    """An address that cannot be used is refused with the reason and the right forms."""
    with pytest.raises(ConfigError, match=r"write host, host:port or \[IPv6") as caught:
        parse(text)
    assert hint in str(caught.value)


@given(st.text())
def test_any_text(text):
    """Any text is either understood or refused as a setting."""
    try:
        made = parse(text)
    except ConfigError:
        return
    assert all(0 < endpoint.port < 65536 and endpoint.host for endpoint in made.endpoints)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_addresses_there_and_back(address, port):
    """Every address is read as what it is written as."""
    endpoint = Endpoint(str(address), port)
    assert parse(str(endpoint)).endpoints == (endpoint,)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.8.9.1", "[::1]"])
def test_loopback(host):
    """The names and addresses of this very host are known."""
    assert parse(host).endpoints[0].is_loopback
    assert not parse("zeek").endpoints[0].is_loopback
