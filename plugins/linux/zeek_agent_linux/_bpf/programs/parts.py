"""What several programs do alike: columns of a process, paths, and handing over a record."""

from zeek_agent_linux._bpf.assembler import (
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R7,
    R8,
    R10,
    Assembler,
    Helper,
    R,
    Writer,
)  # fmt: skip
from zeek_agent_linux._bpf.btf import Member
from zeek_agent_linux._bpf.kernel import Kernel
from zeek_agent_linux._bpf.programs.tasks import put_memory, start_time
from zeek_agent_linux._bpf.session import Maps

NAME_BYTES = 256
DEPTH = 32
"""So many directories and mounts of a path are followed. The steps are written out, one after
the other: the verifier needs fifty times as long for a loop."""
ROOM = 4096
"""A path takes no more bytes."""
MASK = 0x3FFF
"""Positions in the buffer where a part may begin."""


def describe(a: Assembler, row: Writer, kernel: Kernel) -> None:
    """Put what is known of the task in R7 into a record: time, IDs, name, group, CPU time.

    Uses R1 to R5 and R8.
    """
    a.call(Helper.KTIME_BOOT)
    row.put("time", R0)
    row.copy("start", R7, start_time(kernel))
    row.copy("pid", R7, kernel.member("task_struct", "tgid"))
    row.copy("name", R7, kernel.member("task_struct", "comm"))
    a.load(R1, R7, kernel.member("task_struct", "real_parent"))
    row.copy("ppid", R1, kernel.member("task_struct", "tgid"), through=R2)
    a.load(R1, R7, kernel.member("task_struct", "real_cred"))
    for field, member in (("uid", "euid"), ("gid", "egid"), ("ruid", "uid"), ("rgid", "gid")):
        row.copy(field, R1, kernel.member("cred", member), through=R2)
    if kernel.has("task_struct", "loginuid.val"):
        row.copy("auid", R7, kernel.member("task_struct", "loginuid.val"))
    else:
        row.put("auid", -1)
    a.load(R1, R7, kernel.member("task_struct", "prio"))
    a.add(R1, -100)  # MAX_RT_PRIO
    row.put("priority", R1)
    _times(a, row, kernel)
    _memory(a, row, kernel)
    _groups(a, row, kernel)


def _times(a: Assembler, row: Writer, kernel: Kernel) -> None:
    """CPU time of this thread and of those that have ended."""
    a.load(R1, R7, kernel.member("task_struct", "signal"))
    for field, own, ended in (
        ("utime", "utime", "utime"),
        ("stime", "stime", "stime"),
        ("runtime", "se.sum_exec_runtime", "sum_sched_runtime"),
    ):
        a.load(R2, R7, kernel.member("task_struct", own))
        a.load(R3, R1, kernel.member("signal_struct", ended))
        a.add(R2, R3)
        row.put(field, R2)


def _memory(a: Assembler, row: Writer, kernel: Kernel) -> None:
    """Memory; older kernels have let go of it when a process ends."""
    a.load(R8, R7, kernel.member("task_struct", "mm"))
    a.jump_if(R8, "==", 0, "no memory")
    put_memory(a, row, kernel)
    a.label("no memory")


def _groups(a: Assembler, row: Writer, kernel: Kernel) -> None:
    """Put what tells one set of control groups from others, and the ID of the unified one.

    Sets are told apart by their address; since one may lie where another has
    been, the sum of the IDs of all its groups is added, which are never used again.
    """
    a.load(R1, R7, kernel.member("task_struct", "cgroups"))
    row.put("group", R1)
    node = kernel.member("cgroup", "kn")
    number = kernel.member("kernfs_node", "id")
    a.load(R2, R1, kernel.member("css_set", "dfl_cgrp"))
    a.load(R2, R2, node)
    a.load(R2, R2, number)
    row.put("cgroup", R2)
    states = kernel.member("css_set", "subsys")
    a.move(R4, 0)
    for offset in range(states.offset, states.offset + states.size, 8):
        a.load(R2, R1, Member(offset, 8))
        a.load(R2, R2, kernel.member("cgroup_subsys_state", "cgroup"))
        a.load(R2, R2, node)
        a.load(R2, R2, number)
        a.add(R4, R2)
    row.put("groups", R4)


def hand_over(a: Assembler, maps: Maps, data: R, start: int, size: R | int) -> None:
    """Write a record to a ring, or count it as lost; the program ends here.

    It begins with the time. Now and then, once in 100,000 times, a kernel does
    not get the lock of a ring that is far from full; then the other one is used.
    """
    for ring in (maps.ring, maps.spare):
        a.move(R2, data)
        if start:
            a.add(R2, start)
        a.move(R3, size)
        a.load_map(R1, ring)
        a.move(R4, 0)
        a.call(Helper.RINGBUF_OUTPUT)
        a.jump_if(R0, "==", 0, "end")
    a.label("lost")
    a.store(R10, -4, 0, 4)
    a.stack(R2, -4)
    a.load_map(R1, maps.lost)
    a.call(Helper.MAP_LOOKUP)
    a.jump_if(R0, "==", 0, "end")
    a.move(R1, 1)
    a.atomic_add(R0, 0, R1)
    a.label("end")
    a.end()


class Path:
    """Writes the names of a path into a buffer, from the last one up to the first.

    The stack holds, below *base*, the entry, the mount, a number for the moment,
    and what was read of either.
    """

    def __init__(self, a: Assembler, kernel: Kernel, base: int, buffer: R, position: R) -> None:
        """Use the stack from *base* down."""
        self._a = a
        self._buffer, self._position = buffer, position
        self._entry, self._mount, self._scratch = base - 8, base - 16, base - 24
        names = {part: kernel.member("dentry", part) for part in ("d_parent", "d_name.name")}
        self._of_entry = _window(names)
        mounts = {part: kernel.member("mount", part)
                  for part in ("mnt_parent", "mnt_mountpoint", "mnt.mnt_root")}  # fmt: skip
        self._of_mount = _window(mounts)
        self._names = self._scratch - self._of_entry[1]
        self._mounts = self._names - self._of_mount[1]
        self._inside = kernel.member("mount", "mnt").offset
        self._hashed = kernel.member("dentry", "d_hash.pprev")
        self.end = self._mounts

    def write(self, name: str, mount: R, entry: R, *, deleted: int, cut: int, flags: int) -> None:
        """Write the path of an *entry* below the `vfsmount` at *mount*, both plain addresses.

        Sets the bit *deleted* or *cut* of the 4 bytes at *flags* on the stack.
        """
        a = self._a
        a.store(R10, self._entry, entry)
        a.add(mount, -self._inside)
        self._forget_range()
        a.store(R10, self._mount, mount)
        a.load(R8, R10, self._entry, 8)
        a.add(R8, self._hashed.offset)
        self._read(self._names, R8, 8)
        a.load(R1, R10, self._names, 8)
        a.jump_if(R1, "!=", 0, f"{name} is there")
        _set_bit(a, flags, deleted)
        a.label(f"{name} is there")
        self._read_mount()
        for step in range(DEPTH):
            self._step(name, f"{name} {step}", f"{name} {step + 1}")
        a.label(f"{name} {DEPTH}")
        a.label(f"{name} cut")
        _set_bit(a, flags, cut)
        a.label(f"{name} done")

    def _step(self, name: str, this: str, following: str) -> None:
        """Take one step up: out of a mount, or out of a directory whose name is copied."""
        a = self._a
        a.label(this)
        a.load(R1, R10, self._entry, 8)
        a.load(R2, R10, self._mounts + self._of_mount[2]["mnt.mnt_root"], 8)
        a.jump_if(R1, "!=", R2, f"{this} name")
        # The top of a mount: go on where it is mounted, unless that is the top of all.
        a.load(R1, R10, self._mounts + self._of_mount[2]["mnt_parent"], 8)
        a.load(R2, R10, self._mount, 8)
        a.jump_if(R1, "==", R2, f"{name} done")
        a.store(R10, self._mount, R1)
        a.load(R1, R10, self._mounts + self._of_mount[2]["mnt_mountpoint"], 8)
        a.store(R10, self._entry, R1)
        self._read_mount()
        a.jump(following)
        a.label(f"{this} name")
        self._copy_name(name)

    def _forget_range(self) -> None:
        """Make the verifier take the position for any number, as it does once a name was copied.

        Otherwise it follows the ways through the loop one by one, and gives up.
        """
        a = self._a
        a.store(R10, self._mount, R2)
        a.store(R10, self._scratch, self._position)
        a.stack(R3, self._scratch)
        a.stack(R1, self._names)
        a.move(R2, 8)
        a.call(Helper.PROBE_READ_KERNEL)
        a.load(self._position, R10, self._names, 8)
        a.math(self._position, "&", MASK)
        a.load(R2, R10, self._mount, 8)

    def _copy_name(self, name: str) -> None:
        """Append the name of the entry, and step up to its parent."""
        a = self._a
        a.load(R3, R10, self._entry, 8)
        a.add(R3, self._of_entry[0])
        self._read(self._names, R3, self._of_entry[1])
        a.jump_if(self._position, ">", MASK - NAME_BYTES, f"{name} cut")
        a.move(R1, self._buffer)
        a.add(R1, self._position)
        a.move(R2, NAME_BYTES)
        a.load(R3, R10, self._names + self._of_entry[2]["d_name.name"], 8)
        a.call(Helper.PROBE_READ_KERNEL_STR)
        a.jump_if(R0, "s<=", 0, f"{name} cut")
        a.math(R0, "&", 2 * NAME_BYTES - 1)  # older kernels do not know that it is small
        a.add(self._position, R0)
        a.math(self._position, "&", MASK)
        a.load(R1, R10, self._names + self._of_entry[2]["d_parent"], 8)
        a.load(R2, R10, self._entry, 8)
        a.jump_if(R1, "==", R2, f"{name} done")
        a.store(R10, self._entry, R1)

    def _read_mount(self) -> None:
        a = self._a
        a.load(R3, R10, self._mount, 8)
        a.add(R3, self._of_mount[0])
        self._read(self._mounts, R3, self._of_mount[1])

    def _read(self, to: int, address: R, size: int) -> None:
        """Read from a plain address to the stack; what cannot be read becomes zero."""
        a = self._a
        a.move(R3, address)
        a.stack(R1, to)
        a.move(R2, size)
        a.call(Helper.PROBE_READ_KERNEL)


def _window(members: dict[str, Member]) -> tuple[int, int, dict[str, int]]:
    """Return start and size of the piece that holds pointers, and where in it each is."""
    start = min(member.offset for member in members.values())
    end = max(member.offset for member in members.values()) + 8
    return start, end - start, {name: m.offset - start for name, m in members.items()}


def _set_bit(a: Assembler, place: int, bit: int) -> None:
    a.load(R5, R10, place, 4)
    a.math(R5, "|", bit)
    a.store(R10, place, R5, 4)
