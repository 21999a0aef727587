"""bpf(2): programs, maps and links, each a descriptor that others of the agent do not inherit.

Sources: bpf(2), include/uapi/linux/bpf.h (`union bpf_attr`).
"""

import ctypes
import errno
import os
import resource
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final

NUMBERS: Final[Mapping[str, int]] = MappingProxyType({"x86_64": 321, "aarch64": 280})
"""Number of the system call, by machine."""

MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE = 0, 1, 2, 3
PROG_LOAD, OBJ_INFO, TRACEPOINT_OPEN, LINK_CREATE, ITER_CREATE = 5, 15, 17, 28, 33
HASH, ARRAY, PERCPU_ARRAY, LRU_HASH, RINGBUF = 1, 2, 6, 9, 27
TRACING = 26
TRACEPOINT, ITERATOR = 23, 28
"""What a program of type tracing is attached to."""
SLEEPABLE = 1 << 4
GROWING = 1
"""Flag of a map: entries take memory when they are made (BPF_F_NO_PREALLOC)."""

ATTEMPTS = 20
"""The verifier gives up when a signal is pending, as it is whenever a child has ended."""
ATTRIBUTES = 144
LOG_BYTES = 1 << 18
MACHINE = os.uname().machine
IS_LITTLE = sys.byteorder == "little"


def call(command: int, attributes: bytes | bytearray) -> int:
    """Make the system call and return its result; raises `OSError`."""
    number = NUMBERS.get(MACHINE)
    if number is None:
        raise OSError(errno.ENOSYS, f"BPF is not supported on {MACHINE}")
    buffer = ctypes.create_string_buffer(bytes(attributes), len(attributes))
    library = ctypes.CDLL(None, use_errno=True)
    code = 0
    for _ in range(ATTEMPTS):
        result: int = library.syscall(number, command, buffer, len(attributes))
        if result >= 0:
            return result
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code), "bpf")


def _charged(command: int, attributes: bytes | bytearray) -> int:
    """Make a call that kernels up to 5.10 count against the limit of locked memory."""
    try:
        return call(command, attributes)
    except PermissionError as error:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        is_refused = error.errno != errno.EPERM  # by the verifier, which says EACCES
        if is_refused or resource.getrlimit(resource.RLIMIT_MEMLOCK) == unlimited:
            raise
        with suppress(OSError, ValueError):  # the second attempt tells the reason
            resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
        return call(command, attributes)


def create_map(kind: int, key: int, value: int, entries: int, flags: int = 0) -> int:
    """Return the descriptor of a new map; sizes in bytes."""
    return _charged(
        MAP_CREATE, struct.pack("=IIIII", kind, key, value, entries, flags).ljust(72, b"\0")
    )


def update_map(map_fd: int, key: bytes, value: bytes) -> None:
    """Set an entry of a map."""
    _element(MAP_UPDATE, map_fd, key, value)


def look_up(map_fd: int, key: bytes, size: int) -> bytes:
    """Return the entry of a map, *size* bytes long."""
    keys = ctypes.create_string_buffer(key, len(key))
    value = ctypes.create_string_buffer(size)
    at = ctypes.addressof(keys), ctypes.addressof(value)
    call(MAP_LOOKUP, struct.pack("=I4xQQQ", map_fd, *at, 0))
    return value.raw


def delete_from_map(map_fd: int, key: bytes) -> None:
    """Remove an entry of a map."""
    _element(MAP_DELETE, map_fd, key, b"")


def _element(command: int, map_fd: int, key: bytes, value: bytes) -> None:
    keys = ctypes.create_string_buffer(key, len(key))
    values = ctypes.create_string_buffer(value, len(value))
    at = ctypes.addressof(keys), ctypes.addressof(values)
    call(command, struct.pack("=I4xQQQ", map_fd, *at, 0))


def load(name: str, code: bytes, attach: int, target: int, flags: int = 0) -> int:
    """Load a program for *target*, a type of BTF, and return its descriptor.

    Raises `OSError` whose text has the verifier's last words.
    """
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = bytearray(ATTRIBUTES)
    struct.pack_into(
        "=IIQQ", attributes, 0,
        TRACING, len(code) // 8, ctypes.addressof(instructions), ctypes.addressof(licence),
    )  # fmt: skip
    struct.pack_into("=I16s", attributes, 44, flags, name[:15].encode())
    struct.pack_into("=I", attributes, 68, attach)
    struct.pack_into("=I", attributes, 108, target)
    try:
        return _charged(PROG_LOAD, attributes)
    except OSError as error:
        words = _verdict(attributes)
        text = (
            f"{os.strerror(error.errno or 0)}: {words}" if words else os.strerror(error.errno or 0)
        )
        raise OSError(error.errno, f"the kernel refuses the program {name}: {text}") from error


def _verdict(attributes: bytearray) -> str:
    """Return the last line with a reason that the verifier gives for a refusal."""
    log = ctypes.create_string_buffer(LOG_BYTES)
    struct.pack_into("=IIQ", attributes, 24, 1, LOG_BYTES, ctypes.addressof(log))
    with suppress(OSError):  # as before; the log is what matters
        os.close(call(PROG_LOAD, attributes))
    lines = log.value.decode(errors="replace").splitlines()
    reasons = [
        line for line in lines if line and not line.startswith(("processed ", "verification"))
    ]
    return reasons[-1].strip() if reasons else ""


def attach_iterator(program: int) -> int:
    """Make an iterator of a program, for as long as the returned descriptor is open."""
    return call(LINK_CREATE, struct.pack("=IIII", program, 0, ITERATOR, 0).ljust(64, b"\0"))


def attach_tracepoint(program: int) -> int:
    """Let a program run at its tracepoint, for as long as the returned descriptor is open."""
    return call(TRACEPOINT_OPEN, struct.pack("=QI4x", 0, program))


def create_iterator(link_fd: int) -> int:
    """Return a descriptor to read one pass of an iterator from."""
    return call(ITER_CREATE, struct.pack("=II", link_fd, 0))


def missed(program: int) -> int:
    """Return how often the kernel skipped a program because it was running already.

    Kernels from 5.12 on tell it (`recursion_misses` of `struct bpf_prog_info`).
    """
    size, place = 216, 208
    info = ctypes.create_string_buffer(size)
    call(OBJ_INFO, struct.pack("=IIQ", program, size, ctypes.addressof(info)))
    count: int = struct.unpack_from("=Q", info.raw, place)[0]
    return count
