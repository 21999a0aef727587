"""Tests of TLS, with real certificates and handshakes."""

import asyncio
import socket
import ssl
import threading
from contextlib import contextmanager, suppress

import pytest

from tests.unit.broker.certificates import Authority, anonymous_server
from tests.unit.broker.conftest import joined, lost, socket_to
from zeek_agent_core.broker.destination import parse
from zeek_agent_core.broker.tls import Mode, TlsSettings, make_context, mode_for
from zeek_agent_core.broker.transport import Flavour, Reason
from zeek_agent_core.errors import ConfigError
from zeek_agent_core.testing.zeek import Zeek


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Return the authority that is trusted."""
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Return one that nobody has heard of."""
    return Authority(tmp_path_factory.mktemp("tls") / "stranger")


def trusting(authority, mode=None):
    """Return settings that trust *authority*."""
    return TlsSettings(mode=mode, cafile=authority.file)


@pytest.mark.parametrize(
    ("address", "settings", "mode"),
    [
        ("localhost", TlsSettings(), Mode.OFF),
        ("localhost", TlsSettings(cafile="x"), Mode.VERIFY),
        ("localhost", TlsSettings(Mode.ANONYMOUS), Mode.ANONYMOUS),
        ("zeek", TlsSettings(), Mode.VERIFY),
        ("zeek", TlsSettings(Mode.OFF), Mode.OFF),
        ("zeek", TlsSettings(Mode.INSECURE), Mode.INSECURE),
        ("ws://zeek", TlsSettings(Mode.VERIFY), Mode.OFF),
        ("wss://localhost", TlsSettings(), Mode.VERIFY),
        ("wss://localhost", TlsSettings(Mode.OFF), Mode.VERIFY),
        ("wss://localhost", TlsSettings(Mode.ANONYMOUS), Mode.ANONYMOUS),
    ],
)
def test_mode(address, settings, mode):
    """The scheme says whether there is TLS, the setting which; loopback alone may go without."""
    assert mode_for(parse(address).endpoints[0], settings) is mode


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_verified(authority, version):
    """A server with a certificate of the trusted authority is joined."""
    context = authority.server()
    context.maximum_version = version
    async with Zeek(context=context) as zeek, joined(zeek, trusting(authority)) as (_, _, client):
        client.hello()


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"names": "DNS:elsewhere"}, "Hostname mismatch"),
        ({"days": -1}, "certificate has expired"),
    ],
)
async def test_not_accepted(authority, options, hint):
    """A certificate for another name, or one that has expired, is refused with the reason."""
    async with Zeek(context=authority.server("bad", **options)) as zeek:
        why = await lost(socket_to(zeek.destination, trusting(authority)))
    assert why.reason is Reason.MISCONFIGURED
    assert hint in str(why)


async def test_wrong_authority(authority, stranger):
    """A certificate of another authority is refused, and the setting named."""
    async with Zeek(context=authority.server()) as zeek:
        why = await lost(socket_to(zeek.destination, trusting(stranger)))
        assert why.reason is Reason.MISCONFIGURED
        assert "zeek.ssl_cafile" in str(why)
        why = await lost(socket_to(zeek.destination))
        assert "not accepted" in str(why)


async def test_insecure(authority):
    """Mode `insecure` joins a server that nobody vouches for."""
    context, settings = authority.server(names="DNS:elsewhere"), TlsSettings(Mode.INSECURE)
    async with Zeek(context=context) as zeek, joined(zeek, settings) as (_, _, client):
        client.hello()


@pytest.mark.parametrize("passphrase", ["", "open sesame"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_client_certificate(authority, passphrase, version):
    """A server that asks for a certificate gets ours, its key protected or not."""
    context = authority.server(wants_client=True)
    context.maximum_version = version
    settings = authority.client(f"client{len(passphrase)}", passphrase=passphrase)
    async with Zeek(context=context) as zeek, joined(zeek, settings) as (_, _, client):
        client.hello()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_missing_client_certificate(authority, version):
    """Who has no certificate for a server that wants one is told about it."""
    context = authority.server(wants_client=True)
    context.maximum_version = version
    async with Zeek(context=context) as zeek:
        why = await lost(socket_to(zeek.destination, trusting(authority)))
    assert why.reason in (Reason.MISCONFIGURED, Reason.FULL)
    assert "certificate" in str(why)


async def test_foreign_client_certificate(authority, stranger):
    """A certificate that the server's authority did not sign does not help."""
    own = stranger.client()
    settings = TlsSettings(cafile=authority.file, certificate=own.certificate, keyfile=own.keyfile)
    async with Zeek(context=authority.server(wants_client=True)) as zeek:
        why = await lost(socket_to(zeek.destination, settings))
    assert why.reason in (Reason.MISCONFIGURED, Reason.FULL)
    assert "certificate" in str(why)


@pytest.mark.parametrize("flavour", [Flavour.BROKER, Flavour.CLUSTER])
async def test_anonymous(flavour):
    """Mode `anonymous` joins a Zeek without certificates."""
    context, settings = anonymous_server(), TlsSettings(Mode.ANONYMOUS)
    async with Zeek(flavour, context=context) as zeek, joined(zeek, settings) as (ours, _, client):
        for number in range(500):
            ours.publish("/t", "row", ((), (number,)))
        assert len(await client.results("row", 500)) == 500


@contextmanager
def handshaking(context):
    """Yield the address of a server that does handshakes only, with alerts as C programs send."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with suppress(OSError), client:
                        context.wrap_socket(client, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"wss://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("mode", [Mode.VERIFY, Mode.INSECURE])
async def test_anonymous_server_wants_that_mode(mode):
    """The error of any other mode towards an anonymous server names the mode to set."""
    with handshaking(anonymous_server()) as address:
        why = await lost(socket_to(address, TlsSettings(mode)))
    assert why.reason is Reason.MISCONFIGURED
    assert 'zeek.tls = "anonymous"' in str(why)


async def test_anonymous_mode_is_wrong(authority):
    """The error of mode `anonymous` towards a server with a certificate names the right mode."""
    with handshaking(authority.server()) as address:
        why = await lost(socket_to(address, TlsSettings(Mode.ANONYMOUS)))
    assert why.reason is Reason.MISCONFIGURED
    assert 'zeek.tls = "verify"' in str(why)


async def test_tls_towards_plain():
    """TLS towards a server without it ends with the mode to set."""
    async with Zeek() as zeek:
        address = zeek.destination.replace("ws:", "wss:")
        why = await lost(socket_to(address))
    assert why.reason in (Reason.FULL, Reason.SILENT)
    assert '"off" for plain text' in str(why)


async def test_tls_towards_http():
    """A server that answers TLS with plain text is told from one that is full."""

    async def answer(_reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        why = await lost(socket_to(f"wss://127.0.0.1:{port}"))
    assert why.reason is Reason.MISCONFIGURED
    assert 'zeek.tls = "off"' in str(why)


async def test_plain_towards_tls(authority):
    """Plain text towards a server with TLS ends with the mode to set."""
    async with Zeek(context=authority.server()) as zeek:
        why = await lost(socket_to(zeek.destination.replace("wss:", "ws:")))
    assert why.reason in (Reason.MISCONFIGURED, Reason.FULL)
    assert "zeek.tls" in str(why)


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        (TlsSettings(cafile="/no/such"), "ssl_cafile /no/such: No such file"),
        (TlsSettings(capath="/no/such", cafile=__file__), f"ssl_cafile {__file__}"),
        (TlsSettings(certificate="/no/such"), "ssl_certificate"),
        (TlsSettings(certificate=__file__), "holds no matching PEM"),
        (TlsSettings(keyfile="x"), "ssl_keyfile needs zeek.ssl_certificate"),
    ],
)
def test_files_that_cannot_be_used(settings, hint):
    """A file that is missing or holds something else is named with its key."""
    with pytest.raises(ConfigError) as caught:
        make_context(Mode.VERIFY, settings)
    assert hint in str(caught.value)


def test_wrong_passphrase(authority):
    """A key that stays closed points at the passphrase, and nobody is asked on the terminal."""
    certificate, key = authority.sign("secret", passphrase="right")
    for passphrase in ("", "wrong"):
        settings = TlsSettings(certificate=certificate, keyfile=key, passphrase=passphrase)
        with pytest.raises(ConfigError, match="passphrase"):
            make_context(Mode.VERIFY, settings)


def test_wrong_key(authority):
    """A key of another certificate is recognised."""
    certificate, _ = authority.sign("one")
    _, key = authority.sign("two")
    with pytest.raises(ConfigError, match="does not belong"):
        make_context(Mode.VERIFY, TlsSettings(certificate=certificate, keyfile=key))
