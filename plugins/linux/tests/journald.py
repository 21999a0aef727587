"""A real systemd-journald of its own namespace, for tests; it touches neither audit nor kmsg."""

import shutil
import signal
import socket
import struct
import subprocess
import time
import uuid
from pathlib import Path

# `Audit=yes` would turn auditing of the whole kernel on, `no` would turn it off, and an empty
# value leaves it alone (journald.conf(5)); without the capabilities it can do neither.
PROGRAM = "/lib/systemd/systemd-journald"
CONFIG = """[Journal]
Storage=volatile
Audit=
ReadKMsg=no
RateLimitBurst=0
RuntimeMaxUse=256M
MaxRetentionSec=1day
{more}
"""


class Journald:
    """Runs journald for one namespace; use as ``with``."""

    def __init__(self, more=""):
        self.name = f"zeekagenttest{uuid.uuid4().hex[:8]}"
        self.run = Path(f"/run/systemd/journal.{self.name}")
        self.config = Path(f"/run/systemd/journald@{self.name}.conf.d")
        machine = Path("/etc/machine-id").read_text().strip()
        self.directory = Path(f"/run/log/journal/{machine}.{self.name}")
        self.more = more
        self.process = None

    def __enter__(self):  # noqa: D105
        self.run.mkdir(parents=True)
        self.config.mkdir(parents=True)
        (self.config / "test.conf").write_text(CONFIG.format(more=self.more))
        self.start()
        return self

    def __exit__(self, *_):  # noqa: D105
        self.stop()
        for directory in (self.run, self.config, self.directory):
            shutil.rmtree(directory, ignore_errors=True)

    def start(self):
        """Start the daemon, and wait until it takes messages."""
        (self.run / "socket").unlink(missing_ok=True)
        command = ["setpriv", "--bounding-set", "-audit_control,-audit_read", PROGRAM, self.name]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while not ((self.run / "socket").exists() and list(self.directory.glob("*.journal"))):
            assert self.process.poll() is None, "journald ended"
            assert time.monotonic() < until, "journald does not start"
            time.sleep(0.01)
        self.sync()

    def stop(self, sign=signal.SIGTERM):
        """End the daemon."""
        if self.process is not None:
            self.process.send_signal(sign)
            self.process.wait(20)
            self.process = None

    def control(self, *options):
        """Run journalctl with *options* and return what it prints."""
        command = ["journalctl", f"--namespace={self.name}", "--no-pager", "-q", *options]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def sync(self):
        """Wait until all messages are in the files."""
        self.control("--sync")

    def sender(self):
        """Return a socket to send messages by."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.connect(str(self.run / "socket"))
        return made

    def send(self, *entries):
        """Send *entries*, each a mapping of field to text, bytes or a list of these."""
        with self.sender() as sender:
            for entry in entries:
                sender.send(native(entry))


def native(entry):
    """Return *entry* in the journal's own protocol."""
    parts = []
    for field, values in entry.items():
        for value in values if isinstance(values, list) else [values]:
            raw = value if isinstance(value, bytes) else str(value).encode()
            if b"\n" in raw or isinstance(value, bytes):
                parts.append(field.encode() + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n")
            else:
                parts.append(field.encode() + b"=" + raw + b"\n")
    return b"".join(parts)
