"""Certificates for tests, made by openssl."""

import ssl
import subprocess

from zeek_agent_core.broker.tls import ANONYMOUS, TlsSettings

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def _openssl(home, *words):
    subprocess.run(["openssl", *words], cwd=home, check=True, capture_output=True)


class Authority:
    """An authority of its own in a directory, which signs what it is asked to."""

    def __init__(self, home):
        self.home = home
        home.mkdir()
        subject = ("-subj", f"/CN={home.name}", "-days", "2", "-nodes")
        _openssl(home, "req", "-x509", *_KEY, *subject, "-keyout", "ca.key", "-out", "ca.pem")

    @property
    def file(self):
        return str(self.home / "ca.pem")

    def sign(self, name, *, names="DNS:localhost,IP:127.0.0.1", days=2, passphrase=""):
        """Return the paths of a certificate and its key."""
        secret = ("-passout", f"pass:{passphrase}") if passphrase else ("-nodes",)
        request = ("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        _openssl(self.home, "req", *_KEY, *secret, *request)
        (self.home / "extensions").write_text(f"subjectAltName={names}\n")
        _openssl(
            self.home, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", str(days), "-extfile", "extensions", "-out", f"{name}.pem",
        )  # fmt: skip
        return str(self.home / f"{name}.pem"), str(self.home / f"{name}.key")

    def client(self, name="client", **options):
        """Return settings of an agent with a certificate that this authority signed."""
        certificate, key = self.sign(name, **options)
        secret = options.get("passphrase", "")
        return TlsSettings(
            cafile=self.file, certificate=certificate, keyfile=key, passphrase=secret
        )

    def server(self, name="server", *, wants_client=False, **options):
        """Return a server's context with a certificate that this authority signed."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.sign(name, **options))
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context


def anonymous_server():
    """Return the context of a Zeek up to 8.0 without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ANONYMOUS)
    return context
