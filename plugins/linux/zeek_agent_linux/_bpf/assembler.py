"""A small assembler for BPF, with named registers, labels and helpers.

Sources: Documentation/bpf/standardization/instruction-set.rst and
include/uapi/linux/bpf.h of the kernel. A program is made by calling the methods
in order; `code` gives its bytes.
"""

import struct
from enum import IntEnum

from zeek_agent_linux._bpf.btf import Member
from zeek_agent_linux._bpf.record import Record

INSTRUCTION = struct.Struct("=BBhi")
WIDE = struct.Struct("=BBhiBBhi")


class R(IntEnum):
    """Registers: `R0` results, `R1` to `R5` arguments, `R6` to `R9` kept, `R10` end of stack."""

    R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = range(11)


R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = R


class Helper(IntEnum):
    """Functions of the kernel that programs call, by their number."""

    MAP_LOOKUP = 1
    MAP_UPDATE = 2
    MAP_DELETE = 3
    CURRENT_PID_TGID = 14
    CURRENT_TASK = 35
    PROBE_READ_USER = 112
    PROBE_READ_KERNEL = 113
    PROBE_READ_KERNEL_STR = 115
    KTIME_BOOT = 125
    SEQ_WRITE = 127
    RINGBUF_OUTPUT = 130
    SKC_TO_TCP_SOCK = 137
    D_PATH = 147
    SOCK_FROM_FILE = 162
    COPY_FROM_USER_TASK = 191


ALU = {
    "+": 0x00, "-": 0x10, "*": 0x20, "/": 0x30, "|": 0x40, "&": 0x50, "<<": 0x60, ">>": 0x70,
    "%": 0x90,
}  # fmt: skip
JUMPS = {
    "==": 0x10, ">": 0x20, ">=": 0x30, "&": 0x40, "!=": 0x50, "s>": 0x60, "s>=": 0x70,
    "<": 0xA0, "<=": 0xB0, "s<": 0xC0, "s<=": 0xD0,
}  # fmt: skip
SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
MOVE, CALL, EXIT, ALWAYS, WIDE_LOAD = 0xB7, 0x85, 0x95, 0x05, 0x18
REGISTER = 0x08
"""Bit of an operation whose right side is a register."""
LOAD, STORE_NUMBER, STORE_REGISTER, ALU64, JUMP = 0x61, 0x62, 0x63, 0x07, 0x05
ATOMIC, SWAP = 0xDB, 0xDC
MAP_FD = 1
WORD = 8


class Assembler:
    """A program in the making."""

    def __init__(self) -> None:
        """Begin with no instruction."""
        self._code: list[bytes] = []
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []

    def _add(self, op: int, to: int, by: int = 0, offset: int = 0, number: int = 0) -> None:
        self._code.append(INSTRUCTION.pack(op, to | by << 4, offset, number))

    def label(self, name: str) -> None:
        """Name the next instruction, for jumps."""
        if name in self._labels:
            raise ValueError(f"label {name} is there already")
        self._labels[name] = len(self._code)

    def move(self, to: R, value: R | int) -> None:
        """Set a register to another, or to a number of 32 bits, sign extended."""
        if isinstance(value, R):
            self._add(MOVE | REGISTER, to, value)
        else:
            self._add(MOVE, to, number=value)

    def math(self, to: R, operator: str, value: R | int) -> None:
        """Set *to* to itself combined with a register or number, as 64 bits without sign."""
        if isinstance(value, R):
            self._add(ALU[operator] | ALU64 | REGISTER, to, value)
        else:
            self._add(ALU[operator] | ALU64, to, number=value)

    def from_network(self, to: R) -> None:
        """Turn 16 bits from network order into the machine's."""
        self._add(SWAP, to, number=16)

    def add(self, to: R, value: R | int) -> None:
        """Add to a register."""
        self.math(to, "+", value)

    def load(self, to: R, base: R, place: Member | int, size: int | None = None) -> None:
        """Load what lies in memory behind *base*; at most 8 bytes, zero extended."""
        offset, width = _place(place, size)
        self._add(LOAD | SIZES[width], to, base, offset)

    def store(self, base: R, offset: int, value: R | int, size: int = WORD) -> None:
        """Write a register or a number to memory behind *base*."""
        if isinstance(value, R):
            self._add(STORE_REGISTER | SIZES[size], base, value, offset)
        else:
            self._add(STORE_NUMBER | SIZES[size], base, 0, offset, value)

    def atomic_add(self, base: R, offset: int, value: R) -> None:
        """Add a register to 8 bytes of memory, whoever else does so at the same moment."""
        self._add(ATOMIC, base, value, offset)

    def jump(self, label: str) -> None:
        """Go on at *label*."""
        self._jumps.append((len(self._code), label))
        self._add(ALWAYS, 0)

    def jump_if(self, left: R, operator: str, right: R | int, label: str) -> None:
        """Go on at *label* if a comparison holds; `s<` and the like compare with sign."""
        self._jumps.append((len(self._code), label))
        if isinstance(right, R):
            self._add(JUMPS[operator] | JUMP | REGISTER, left, right)
        else:
            self._add(JUMPS[operator] | JUMP, left, number=right)

    def call(self, helper: Helper) -> None:
        """Call a function of the kernel: its result is in `R0`, and `R1` to `R5` are lost."""
        self._add(CALL, 0, number=helper)

    def load_map(self, to: R, map_fd: int) -> None:
        """Load the address of a map."""
        self._code += [INSTRUCTION.pack(WIDE_LOAD, to | MAP_FD << 4, 0, map_fd), bytes(8)]

    def stack(self, to: R, offset: int) -> None:
        """Load the address of a place on the stack; *offset* is negative."""
        self.move(to, R10)
        self.add(to, offset)

    def end(self) -> None:
        """Return 0 to the kernel."""
        self.move(R0, 0)
        self._add(EXIT, 0)

    def code(self) -> bytes:
        """Return the program, all jumps resolved."""
        code = list(self._code)
        for at, label in self._jumps:
            if label not in self._labels:
                raise ValueError(f"there is no label {label}")
            op, registers, _, number = INSTRUCTION.unpack(code[at])
            distance = self._labels[label] - at - 1
            code[at] = INSTRUCTION.pack(op, registers, distance, number)
        return b"".join(code)


class Writer:
    """Writes the fields of a record that a program makes."""

    def __init__(self, program: Assembler, record: Record, base: R = R10) -> None:
        """Write to the end of the stack, or to where *base* points."""
        self._program = program
        self._record = record
        self._base = base
        self._start = -record.size if base is R10 else 0

    @property
    def start(self) -> int:
        """Where the record begins, seen from its base."""
        return self._start

    def offset(self, field: str) -> int:
        """Return where a field lies, seen from the base."""
        return self._start + self._record.places[field][0]

    def clear(self) -> None:
        """Set all fields to zero; the kernel takes no memory that was never written."""
        for offset in range(0, self._record.size, WORD):
            self._program.store(self._base, self._start + offset, 0)

    def put(self, field: str, value: R | int) -> None:
        """Set a field."""
        self._program.store(self._base, self.offset(field), value, self._record.places[field][1])

    def copy(self, field: str, base: R, place: Member | int, through: R = R1) -> None:
        """Set a field to what lies in memory behind *base*, as many bytes as both have."""
        offset, size = self.offset(field), self._record.places[field][1]
        start = place if isinstance(place, int) else place.offset
        if isinstance(place, Member):
            size = min(size, place.size)
        for at in range(0, size, WORD):
            width = next(width for width in (8, 4, 2, 1) if width <= size - at)
            self._program.load(through, base, start + at, width)
            self._program.store(self._base, offset + at, through, width)


def _place(place: Member | int, size: int | None) -> tuple[int, int]:
    if isinstance(place, Member):
        return place.offset, size or place.size
    if size is None:
        raise ValueError("the size of what to load is missing")
    return place, size
