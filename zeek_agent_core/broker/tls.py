"""TLS towards Zeek: which mode holds for an endpoint, and its context."""

import ssl
from dataclasses import dataclass
from enum import StrEnum

from zeek_agent_core.broker.destination import Endpoint, Scheme
from zeek_agent_core.errors import ConfigError

ANONYMOUS = "AECDH-AES256-SHA@SECLEVEL=0"
"""The one cipher of Zeek up to 8.0 without certificates; nobody is authenticated."""


class Mode(StrEnum):
    """How TLS is used, as `zeek.tls` says it."""

    VERIFY = "verify"
    """The server's certificate and name are checked."""
    INSECURE = "insecure"
    """Encrypted, but the server may be anybody."""
    ANONYMOUS = "anonymous"
    """As insecure, towards a Zeek without a certificate."""
    OFF = "off"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What the configuration says about TLS."""

    mode: Mode | None = None
    cafile: str = ""
    capath: str = ""
    certificate: str = ""
    keyfile: str = ""
    passphrase: str = ""

    @property
    def has_files(self) -> bool:
        """Whether anything is set that only TLS needs."""
        return bool(self.cafile or self.capath or self.certificate or self.keyfile)


def mode_for(endpoint: Endpoint, settings: TlsSettings) -> Mode:
    """Return the mode for *endpoint*.

    Its scheme decides whether there is TLS, the setting which kind. Without
    both, only this very host is spoken to in plain text, and that only if no
    certificate or authority is set.
    """
    wanted = settings.mode
    if endpoint.scheme is Scheme.PLAIN:
        return Mode.OFF
    if endpoint.scheme is Scheme.TLS:
        return Mode.VERIFY if wanted in (None, Mode.OFF) else wanted
    if wanted is not None:
        return wanted
    return Mode.OFF if endpoint.is_loopback and not settings.has_files else Mode.VERIFY


def make_context(mode: Mode, settings: TlsSettings) -> ssl.SSLContext | None:
    """Return what to connect with, None for plain text; raise `ConfigError` naming the file.

    Reads the files, so that renewed certificates count from the next attempt.
    """
    if mode is Mode.OFF:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if mode is not Mode.VERIFY:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if mode is Mode.ANONYMOUS:
        return _anonymous(context)
    if mode is Mode.VERIFY:
        _load_authorities(context, settings)
    if settings.certificate:
        _load_certificate(context, settings)
    elif settings.keyfile:
        raise ConfigError("zeek.ssl_keyfile needs zeek.ssl_certificate beside it")
    return context


def _anonymous(context: ssl.SSLContext) -> ssl.SSLContext:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.set_ciphers(ANONYMOUS)
    except ssl.SSLError:
        raise ConfigError(
            f'zeek.tls = "anonymous" is impossible with {ssl.OPENSSL_VERSION}, which has no '
            "anonymous ciphers; give Zeek a certificate"
        ) from None
    return context


def _load_authorities(context: ssl.SSLContext, settings: TlsSettings) -> None:
    if not settings.cafile and not settings.capath:
        context.load_default_certs()
    for name, path in (("cafile", settings.cafile), ("capath", settings.capath)):
        if path:
            try:
                context.load_verify_locations(**{name: path})
            except OSError as error:
                raise ConfigError(f"cannot use zeek.ssl_{name} {path}: {_why(error)}") from error


def _load_certificate(context: ssl.SSLContext, settings: TlsSettings) -> None:
    # Without a callback OpenSSL would ask for the passphrase on the terminal.
    secret = settings.passphrase
    try:
        context.load_cert_chain(settings.certificate, settings.keyfile or None, lambda: secret)
    except OSError as error:
        name = "certificate and ssl_keyfile" if settings.keyfile else "certificate"
        files = f"{settings.certificate} {settings.keyfile}".strip()
        raise ConfigError(f"cannot use zeek.ssl_{name} ({files}): {_why(error)}") from error


def _why(error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        return str(error.strerror or error)
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    if "password" in str(error).lower() or error.reason in (
        "BAD_DECRYPT", "BAD_PASSWORD_READ", "PKCS12_CIPHERFINAL_ERROR",
    ):  # fmt: skip
        return "the key does not open; check zeek.ssl_passphrase"
    if error.reason in (None, "PEM lib", "PEM_LIB"):
        return "it holds no matching PEM text, or zeek.ssl_passphrase is not its passphrase"
    return error.reason.lower().replace("_", " ")


def explain(error: OSError, mode: Mode) -> str:
    """Return what a failed handshake means, and which mode to set."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "" if "hostname" in error.verify_message.lower() else "; see zeek.ssl_cafile"
        return f"the server's certificate is not accepted: {error.verify_message}{hint}"
    reason = (getattr(error, "reason", None) or str(error)).upper().replace(" ", "_")
    if any(word in reason for word in ("WRONG_VERSION_NUMBER", "RECORD_LAYER", "LENGTH_TOO_LONG",
                                       "UNKNOWN_PROTOCOL", "HTTP_REQUEST")):  # fmt: skip
        return 'the server does not speak TLS; set zeek.tls = "off", or write ws://'
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return (
            "the server does not accept our certificate "
            f"({reason.lower()}); see zeek.ssl_certificate"
        )
    if any(word in reason for word in ("HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "INSUFFICIENT",
                                       "PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL")):  # fmt: skip
        if mode is Mode.ANONYMOUS:
            return 'no common cipher: the server has a certificate; set zeek.tls = "verify"'
        return (
            "no common cipher: Zeek up to 8.0 without a certificate needs "
            'zeek.tls = "anonymous"; or the server wants a client certificate'
        )
    return f"the TLS handshake failed: {reason.lower()}"
