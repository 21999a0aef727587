"""Pure: the state of the kernel's auditing (struct audit_status, include/uapi/linux/audit.h)."""

import struct
from typing import NamedTuple

ENABLED, PID, BACKLOG_LIMIT, BACKLOG_WAIT_TIME = 0x1, 0x4, 0x10, 0x20
"""Bits of the mask that says which fields are to be set."""
LOCKED = 2
"""Value of `enabled` that forbids all changes until the host starts anew."""
PANIC = 2
"""Value of `failure` that halts the host when records are lost."""
HAS_WAIT_TIME = 0x2
"""Bit of `features`: the wait time can be set."""

_FIELDS = 11
_STATUS = struct.Struct(f"={_FIELDS}I")


class Status(NamedTuple):
    """What `AUDIT_GET` returns; older kernels leave the last fields out, which are 0 then."""

    mask: int = 0
    enabled: int = 0
    failure: int = 0
    pid: int = 0
    """Process that is the audit daemon; 0 if there is none."""
    rate_limit: int = 0
    backlog_limit: int = 0
    """Records that the kernel holds for the daemon."""
    lost: int = 0
    """Records lost since the host started, since it held too many."""
    backlog: int = 0
    features: int = 0
    backlog_wait_time: int = 0
    """How long processes are held up, in ticks of the kernel, when it holds too many."""
    backlog_wait_time_actual: int = 0

    @property
    def has_wait_time(self) -> bool:
        """Whether the wait time can be set."""
        return bool(self.features & HAS_WAIT_TIME)


def parse_status(raw: bytes) -> Status:
    """Return the status in a reply."""
    whole = raw[: _STATUS.size].ljust(_STATUS.size, b"\0")
    return Status(*_STATUS.unpack(whole))


def status_request(**values: int) -> bytes:
    """Return the payload of `AUDIT_SET` that sets the fields *values* and leaves the others."""
    bits = {
        "enabled": ENABLED,
        "pid": PID,
        "backlog_limit": BACKLOG_LIMIT,
        "backlog_wait_time": BACKLOG_WAIT_TIME,
    }
    mask = 0
    for name in values:
        mask |= bits[name]
    return _STATUS.pack(*Status(mask=mask, **values))
