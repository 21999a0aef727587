"""Clients and servers for the benchmark of attribution; each says what it did.

``attribution_load.py serve SECONDS ADDRESS PORT...`` serves each port from a
process of its own, ``attribution_load.py connect SECONDS RATE ADDRESS PORT...``
makes connections from hundreds of processes. Processes belong to several
users. Every connection gives a line ``side lport rport pid uid``, written by
the process that holds the socket.
"""

import encodings.idna  # noqa: F401 - loaded now, as other users may not be able to read it
import itertools
import os
import pwd
import random
import selectors
import signal
import socket
import sys
import time
import traceback

USERS = [pwd.getpwnam(name).pw_uid for name in ("root", "daemon", "www-data", "nobody")]
LIVES = [(0.80, 0.0, 0.05), (0.15, 0.1, 2.0), (0.05, 3.0, 15.0)]
"""Share of connections, and how long they last: from, to, in seconds."""
CONNECTIONS_PER_PROCESS = 10


def life(dice: random.Random) -> float:
    """Return how long the next connection lasts, in seconds."""
    _, shortest, longest = dice.choices(LIVES, [share for share, *_ in LIVES])[0]
    return dice.uniform(shortest, longest)


def spawn(uid: int, work, *arguments) -> int:
    """Run *work* in a process of user *uid*; return its pid."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setgid(uid)
        os.setuid(uid)
        work(*arguments)
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)


def say(side: str, connection: socket.socket) -> None:
    """Tell of one connection of this process."""
    line = f"{side} {connection.getsockname()[1]} {connection.getpeername()[1]}"
    os.write(1, f"{line} {os.getpid()} {os.getuid()}\n".encode())


def serve(listener: socket.socket) -> None:
    """Accept and wait for the peers' ends."""
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                say("resp", connection)
                connection.sendall(b"hello\n")
                waiting.register(connection, selectors.EVENT_READ)
            elif not key.fileobj.recv(4096):
                waiting.unregister(key.fileobj)
                key.fileobj.close()


def connect(address: str, ports: list[int], count: int, seed: int) -> None:
    """Make *count* connections, one after the other."""
    dice = random.Random(seed)
    for _ in range(count):
        with socket.create_connection((address, dice.choice(ports)), 10) as connection:
            say("orig", connection)
            connection.sendall(b"who is there?\n")
            connection.recv(64)
            time.sleep(life(dice))


def run_servers(seconds: float, address: str, ports: list[int]) -> None:
    """Serve *ports* for a while."""
    children = []
    for port, uid in zip(ports, itertools.cycle(USERS), strict=False):
        listener = socket.create_server((address, port), backlog=1024)
        children.append(spawn(uid, serve, listener))
        listener.close()
    os.write(1, b"ready\n")
    time.sleep(seconds)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def run_clients(seconds: float, rate: float, address: str, ports: list[int]) -> None:
    """Start processes at such a pace that there are about *rate* connections a second."""
    end = time.monotonic() + seconds
    pause = CONNECTIONS_PER_PROCESS / rate
    children = set()
    for number, uid in enumerate(itertools.cycle(USERS)):
        if time.monotonic() > end:
            break
        children.add(spawn(uid, connect, address, ports, CONNECTIONS_PER_PROCESS, number))
        time.sleep(pause)
        children.difference_update(
            pid for pid in list(children) if os.waitpid(pid, os.WNOHANG)[0] == pid
        )
    for pid in children:
        os.waitpid(pid, 0)


def main() -> None:
    """Do what the command line says."""
    role, seconds, *rest = sys.argv[1:]
    if role == "serve":
        address, *ports = rest
        run_servers(float(seconds), address, [int(port) for port in ports])
    else:
        rate, address, *ports = rest
        run_clients(float(seconds), float(rate), address, [int(port) for port in ports])


if __name__ == "__main__":
    main()
