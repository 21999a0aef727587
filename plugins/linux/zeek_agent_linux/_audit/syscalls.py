"""Pure: numbers of the system calls that are audited, by architecture.

Source: arch/*/entry/syscalls/*.tbl and include/uapi/asm-generic/unistd.h;
architectures as in include/uapi/linux/audit.h.
"""

from collections.abc import Collection

ARCHES = {
    "x86_64": 0xC000003E,
    "i386": 0x40000003,
    "aarch64": 0xC00000B7,
    "arm": 0x40000028,
}
MACHINES = {"x86_64": ("x86_64", "i386"), "aarch64": ("aarch64", "arm")}
"""The architectures whose programs a machine runs."""

EXEC = frozenset({"execve", "execveat"})
FORK = frozenset({"fork", "vfork", "clone", "clone3"})
CONNECT = frozenset({"bind", "connect"})
ACCEPT = frozenset({"accept", "accept4"})
LISTEN = frozenset({"listen"})
OPEN = frozenset({"open", "openat", "openat2", "creat"})
EXIT = frozenset({"exit_group"})

_NUMBERS: dict[str, tuple[int | None, ...]] = {
    "execve": (59, 11, 221, 11),
    "execveat": (322, 358, 281, 387),
    "fork": (57, 2, None, 2),
    "vfork": (58, 190, None, 190),
    "clone": (56, 120, 220, 120),
    "clone3": (435, 435, 435, 435),
    "connect": (42, 362, 203, 283),
    "bind": (49, 361, 200, 282),
    "listen": (50, 363, 201, 284),
    "accept": (43, None, 202, 285),
    "accept4": (288, 364, 242, 366),
    "open": (2, 5, None, 5),
    "openat": (257, 295, 56, 322),
    "openat2": (437, 437, 437, 437),
    "creat": (85, 8, None, 8),
    "exit_group": (231, 252, 94, 248),
}
"""In the order of `ARCHES`; None where the architecture does not have the call."""

_CODES = {f"{code:x}": name for name, code in ARCHES.items()}
_NAMES = {
    (f"{code:x}", str(of[at])): name
    for at, code in enumerate(ARCHES.values())
    for name, of in _NUMBERS.items()
    if of[at] is not None
}


def name_of(arch: str | None, number: str | None) -> str | None:
    """Return the call of the fields `arch` and `syscall`; None if it is not one of ours."""
    return _NAMES.get((arch or "", number or ""))


def arch_of(code: str | None) -> str | None:
    """Return the name of the architecture in the field `arch`."""
    return _CODES.get(code or "")


def numbers(arch: str, names: Collection[str]) -> frozenset[int]:
    """Return the numbers that *arch* has for the calls *names*."""
    at = tuple(ARCHES).index(arch)
    return frozenset(n for name in names if (n := _NUMBERS[name][at]) is not None)
