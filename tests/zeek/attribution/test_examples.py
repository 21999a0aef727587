"""Each example of the package does its thing, on a real network with real agents."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.zeek.attribution.network import CLIENT, SCRIPTS, SERVER, Network

EXAMPLES = sorted(path.stem for path in (SCRIPTS / "examples").glob("*.zeek"))
SETTINGS = """
redef ServerApplications::query_interval = 1sec;
redef NewListeningPort::query_interval = 1sec;
redef AuthorizedKeysChanged::query_interval = 1sec;
redef AuthorizedKeysChanged::key_files = { "KEYS" };
redef MailAttachmentExecuted::query_interval = 1sec;
redef SSHHopping::server_name = "sshd-fake";
"""
NAMED = """
import encodings.idna, os, pwd, socket, sys, time
def name(text):
    open("/proc/self/comm", "w").write(text)
"""
LISTEN = (
    NAMED
    + """
name("shop")
listeners = [socket.create_server((address, int(port)), reuse_port=True)
             for address, port in (word.split(":") for word in sys.argv[1:])]
os.setuid(pwd.getpwnam("daemon").pw_uid)
print("ready", flush=True)
time.sleep(60)
"""
)
WEB = """
import http.server
class Slow(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
    def log_message(self, *words):
        pass
print("ready", flush=True)
http.server.HTTPServer(("0.0.0.0", 80), Slow).serve_forever()
"""
BROWSE = (
    NAMED
    + """
name("browser")
os.setuid(pwd.getpwnam("nobody").pw_uid)
with socket.create_connection((sys.argv[1], 80)) as server:
    server.sendall(b"GET /page HTTP/1.1\\r\\nHost: shop\\r\\nUser-Agent: Browser/1\\r\\n\\r\\n")
    server.recv(4096)
    time.sleep(5)
"""
)
HOP = (
    NAMED
    + """
name("sshd-fake")
listener = socket.create_server(("0.0.0.0", 22))
print("ready", flush=True)
login, _ = listener.accept()
if os.fork() == 0:
    name("bash")
    login.close()
    if os.fork() == 0:
        name("ssh")
        with socket.create_connection((sys.argv[1], 22)):
            time.sleep(5)
        os._exit(0)
    os.wait()
    os._exit(0)
os.wait()
"""
)
LOGIN = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 22)):
    time.sleep(8)
"""
MAIL_SERVER = """
import socket
listener = socket.create_server(("0.0.0.0", 25))
print("ready", flush=True)
client, _ = listener.accept()
lines = client.makefile("rwb")
def say(text):
    lines.write(text + b"\\r\\n")
    lines.flush()
say(b"220 mail")
for line in lines:
    if line.upper().startswith(b"DATA"):
        say(b"354 go on")
        while lines.readline() != b".\\r\\n":
            pass
    if line.upper().startswith(b"QUIT"):
        say(b"221 bye")
        break
    say(b"250 fine")
"""
MAIL = """
import email.message, pathlib, smtplib, sys
mail = email.message.EmailMessage()
mail["Subject"], mail["From"], mail["To"] = "Invoice", "a@example.org", "b@example.org"
mail.set_content("Please find attached.")
mail.add_attachment(pathlib.Path(sys.argv[2]).read_bytes(), maintype="application",
                    subtype="octet-stream", filename="invoice.exe")
with smtplib.SMTP(sys.argv[1], 25, local_hostname="client", timeout=20) as server:
    server.send_message(mail)
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Return hosts with agents, and a Zeek that runs all examples."""
    if os.geteuid():
        pytest.skip("NOT TESTED: network namespaces need root")
    home = tmp_path_factory.mktemp("examples")
    (home / "keys").write_text("ssh-ed25519 first\n")
    loads = "".join(f"@load zeek-agent/examples/{name}\n" for name in EXAMPLES)
    with Network(home, loads + SETTINGS.replace("KEYS", str(home / "keys"))) as made:
        time.sleep(3)  # differences are told from the second run of a query on
        yield made


@pytest.fixture
def python(network):
    """Return a function that runs Python code on a host, and waits until it says so."""

    def run(part, code, *words, waits=True):
        process = network.run(part, sys.executable, "-c", code, *words, stdout=subprocess.PIPE,
                              text=True)  # fmt: skip
        if waits:
            assert process.stdout.readline() == "ready\n"
        return process

    return run


def notices(network, kind):
    """Return the notices of a kind."""
    return [row for row in network.log("notice") if row["note"].endswith(kind)]


def test_all_examples_are_tested():
    """There is a test for each example, by its name."""
    tests = set(globals())
    assert all(f"test_{name.replace('-', '_')}" in tests for name in EXAMPLES)


def test_server_applications(network, python):
    """A server that starts gives one line per agent that sees it, one of the loopback none."""
    python("s", LISTEN, "0.0.0.0:9444", "127.0.0.1:9445")

    def started():
        rows = network.log("server-applications")
        return [row for row in rows if row["port_number"] in (9444, 9445)]

    network.wait_for(started, "no servers")
    time.sleep(2.5)
    assert {row["port_number"] for row in started()} == {9444}
    assert {(row["name"], row["username"]) for row in started()} == {("shop", "daemon")}
    assert len({row["hid"] for row in started()}) == len(started())


def test_new_listening_port(network, python):
    """A port that is opened gives a notice that names the process, one of the loopback none."""
    python("s", LISTEN, "0.0.0.0:9446", "127.0.0.1:9447")
    found = network.wait_for(
        lambda: [row for row in notices(network, "New_Listening_Port") if row["p"] == 9446],
        "no notice",
    )
    assert "shop" in found[0]["sub"]
    assert not [row for row in notices(network, "New_Listening_Port") if row["p"] == 9447]


def test_authorized_keys_changed(network):
    """Keys that are added and removed give notices."""
    (network.home / "keys").write_text("ssh-ed25519 second\n")
    added = network.wait_for(lambda: notices(network, "Authorized_Key_Added"), "no notice")
    removed = network.wait_for(lambda: notices(network, "Authorized_Key_Removed"), "no notice")
    assert added[0]["sub"] == "ssh-ed25519 second"
    assert removed[0]["sub"] == "ssh-ed25519 first"


def test_http_user(network, python):
    """A request is logged with the user and the program that sent it."""
    python("s", WEB)
    python("c", BROWSE, SERVER, waits=False)
    (row,) = network.wait_for(lambda: network.log("http-user"), "no line")
    assert (row["username"], row["name"]) == ("nobody", "browser")
    assert (row["agent"], row["method"], row["uri"]) == ("Browser/1", "GET", "/page")


def test_ssh_hopping(network, python):
    """A connection that descends from an SSH login is noticed, with where the login is from."""
    python("s", LISTEN, "0.0.0.0:22")
    python("c", HOP, SERVER)
    python("s", LOGIN, CLIENT, waits=False)
    (row,) = network.wait_for(lambda: notices(network, "SSH_Hop"), "no notice")
    assert row["msg"].startswith(f"from {SERVER} by SSH to {socket.gethostname()}")
    assert row["sub"].startswith("ssh (process ")


def test_mail_attachment_executed(network, python):
    """A host that executes what came by mail is noticed."""
    attachment = network.home / "invoice"
    shutil.copy("/bin/sleep", attachment)
    with attachment.open("ab") as file:
        file.write(os.urandom(16))
    python("s", MAIL_SERVER)
    python("c", MAIL, SERVER, str(attachment), waits=False).wait(20)
    network.wait_for(lambda: network.log("files"), "Zeek saw no files")
    network.run("c", str(attachment), "20")
    row = network.wait_for(lambda: notices(network, "Mail_Attachment_Executed"), "no notice")[0]
    assert str(attachment) in row["msg"]
    assert "invoice.exe" in row["msg"]
    assert Path(attachment).exists()
