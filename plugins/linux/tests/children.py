"""Processes and network namespaces that tests make."""

import os
import signal
import subprocess
from contextlib import contextmanager


@contextmanager
def child(work):
    """Run *work* in a process that then sleeps; its ID."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            kept = work()
            os.write(writer, b".")
            signal.pause()
            del kept
        finally:
            os._exit(0)
    os.close(writer)
    try:
        assert os.read(reader, 1)
        yield pid
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextmanager
def namespace(name):
    """Make a network namespace with a loopback that works."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield f"/run/netns/{name}"
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
