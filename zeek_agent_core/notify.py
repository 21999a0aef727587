"""Tells systemd how the agent fares: sd_notify(3), and the watchdog of systemd.service(5)."""

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import MutableMapping

log = logging.getLogger(__name__)

USEC = 1_000_000


class Notifier:
    """The service manager's socket; without one every call does nothing."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        """Take the socket's address and the watchdog's time out of *environment*.

        They are removed, so that no child can speak in the agent's name.
        """
        address = environment.pop("NOTIFY_SOCKET", "")
        period, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        is_ours = not pid or pid == str(os.getpid())
        self.watchdog = int(period) / USEC if period.isdecimal() and is_ours else None
        """Seconds without a sign of life after which the agent is restarted."""
        # A leading @ stands for the NUL of an abstract name, unix(7).
        self._address = "\0" + address[1:] if address[:1] == "@" else address
        if address and address[0] not in "@/":
            log.warning("the service manager's socket %r is of an unknown kind", address)
            self._address = ""

    def tell(self, **variables: str | int) -> None:
        """Send variables such as ``READY=1``; a manager that is gone is not missed."""
        if not self._address:
            return
        message = "\n".join(f"{name}={value}" for name, value in variables.items())
        if sys.platform != "win32":  # where there is no such manager
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.settimeout(0)
                try:
                    manager.sendto(message.encode(), self._address)
                except OSError as error:
                    log.debug("the service manager does not listen: %s", error)

    def ready(self, status: str) -> None:
        """Say that the agent is up; *status* is for people."""
        self.tell(READY=1, STATUS=status)

    def reloading(self) -> None:
        """Say that the configuration is read again; `ready` ends it."""
        self.tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)

    def stopping(self) -> None:
        """Say that the agent ends by itself, or as it was told."""
        self.tell(STOPPING=1)

    async def keep_alive(self) -> None:
        """Give signs of life, at twice the rate that is asked for, while the loop turns."""
        if self.watchdog is None:
            return
        while True:
            self.tell(WATCHDOG=1)
            await asyncio.sleep(self.watchdog / 2)
