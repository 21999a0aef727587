"""Tests of what the configuration makes of Zeeks."""

import pytest

from zeek_agent_core.broker.joining import check, hello_of, tls_settings
from zeek_agent_core.broker.tls import Mode
from zeek_agent_core.config import ZeekConfig
from zeek_agent_core.errors import ConfigError


def test_tls_settings():
    """Both ways to switch TLS off are the same, and may not contradict each other."""
    assert tls_settings(ZeekConfig(ssl_disable=True)).mode is Mode.OFF
    assert tls_settings(ZeekConfig(tls="insecure")).mode is Mode.INSECURE
    with pytest.raises(ConfigError, match="contradicts"):
        tls_settings(ZeekConfig(tls="verify", ssl_disable=True))


def test_check():
    """Destinations and the files of TLS are checked before anything is joined."""
    assert [str(d) for d in check(ZeekConfig(("a,b:1", "broker://c:2")))] == [
        "a:27759,b:1",
        "broker://c:2",
    ]
    with pytest.raises(ConfigError, match="'a:b'"):
        check(ZeekConfig(("a:b",)))
    with pytest.raises(ConfigError, match="ssl_cafile"):
        check(ZeekConfig(("a",), ssl_cafile="/no/such"))


def test_hello():
    """A row of `zeek_agent` becomes a hello, also where facts are missing."""
    hello = hello_of(
        {"id": "H", "instance": "i", "uptime": 1_500_000_000, "tables": '{"value":["a"]}'}
    )
    assert (hello.agent_id, hello.tables, hello.addresses) == ("H", ("a",), None)
    assert hello.uptime.total_seconds() == 1.5
    assert hello_of({"id": "H", "instance": "i"}).tables == ()
