"""Compares ctypes structures with what a C compiler makes of their declarations."""

import ctypes
import struct
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

NUMBER = struct.Struct("<Q")
SECTION = ".layout"
MINGW = "x86_64-w64-mingw32-gcc"
"""Compiles for Windows, with headers of its own."""


def differences(
    structures: Iterable[type[ctypes.Structure]],
    prelude: str,
    compiler: Sequence[str],
    folder: Path,
    names: Mapping[str, str] | None = None,
) -> list[str]:
    """Return where size or offsets of *structures* are not those of the compiler.

    *prelude* is C that declares the structures; *names* has the C expression
    for a class or a field (`Class.field`) where it is not the name itself.
    Nothing compiled is run: *compiler* makes an object file in *folder*, in
    which the numbers are read.
    """
    wanted = dict(_wanted(structures, names or {}))
    numbers = _compiled(list(wanted), prelude, compiler, folder)
    return [
        f"{expression} is {number} for the compiler, {wanted[expression]} for ctypes"
        for expression, number in zip(wanted, numbers, strict=True)
        if wanted[expression] != number
    ]


def _wanted(
    structures: Iterable[type[ctypes.Structure]], names: Mapping[str, str]
) -> Iterable[tuple[str, int]]:
    for kind in structures:
        name = names.get(kind.__name__, kind.__name__)
        yield f"sizeof({name})", ctypes.sizeof(kind)
        for field, *_ in getattr(kind, "_fields_"):  # noqa: B009 - mypy does not know it
            inner = names.get(f"{kind.__name__}.{field}", field)
            if inner:
                yield f"offsetof({name}, {inner})", getattr(kind, field).offset


def _compiled(
    expressions: Sequence[str], prelude: str, compiler: Sequence[str], folder: Path
) -> list[int]:
    """Return what each of *expressions* is."""
    source, binary = folder / "layout.c", folder / "layout.o"
    listed = ",\n  ".join(expressions)
    source.write_text(
        f"{prelude}\n#include <stddef.h>\n"
        f'__attribute__((section("{SECTION}"), used))\n'
        f"const unsigned long long layout[] = {{\n  {listed}\n}};\n"
    )
    subprocess.run([*compiler, "-c", "-o", str(binary), str(source)], check=True)
    dump = folder / "layout.bin"
    objcopy = compiler[0].removesuffix("gcc") + "objcopy"
    command = [objcopy, "-O", "binary", f"--only-section={SECTION}", str(binary), str(dump)]
    subprocess.run(command, check=True)
    raw = dump.read_bytes()
    return [NUMBER.unpack_from(raw, at * 8)[0] for at in range(len(expressions))]
