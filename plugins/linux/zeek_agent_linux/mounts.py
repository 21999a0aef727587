"""``mounts``: what the kernel has mounted."""

import re
from collections.abc import Iterator

from zeek_agent_core.api import Host, Origin, Row, Where, hookimpl, text
from zeek_agent_core.schema import mounts

SOURCE = "/proc/self/mountinfo"
OCTAL = re.compile(rb"\\([0-3][0-7]{2})")


def unescape(field: bytes) -> str:
    r"""Return a field of the kernel's table, in which a space is `\040`."""
    return text(OCTAL.sub(lambda found: bytes((int(found[1], 8),)), field))


def parse_mount(line: bytes) -> Row | None:
    """Return the row for one line of mountinfo; None if it is cut short.

    Fields before a lone hyphen describe the mount, those behind it the file
    system: https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
    """
    mount, _, system = line.partition(b" - ")
    try:
        _, _, _, root, path, mount_options, *_ = mount.split(b" ")
        kind, device, system_options = system.split(b" ", 2)
    except ValueError:
        return None
    options = {unescape(option) for option in (mount_options + b"," + system_options).split(b",")}
    is_read_only = "ro" in options
    return {
        "device": unescape(device),
        "path": unescape(path),
        "type": unescape(kind),
        "options": options - {"", "rw" if is_read_only else ""},
        "is_read_only": is_read_only,
        "root": unescape(root),
    }


class Mounts(mounts.Mounts):  # noqa: D101 - described by its declaration
    origin = Origin(
        source="`/proc/self/mountinfo`",
        needs="-",
        verified="tests on the running system",
    )

    def rows(self, where: Where) -> Iterator[Row]:  # noqa: ARG002 - there are few
        """Yield a row per mount, in the order of mounting."""
        for line in self.host.path(SOURCE).read_bytes().split(b"\n"):
            row = parse_mount(line)
            if row is not None:
                yield row


@hookimpl
def zeek_agent_tables(host: Host) -> list[Mounts]:
    """Offer the table where the kernel tells of mounts."""
    return [Mounts(host)] if host.path(SOURCE).exists() else []
