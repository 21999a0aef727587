"""Parses and formats the Zeek scripts with zeekscript; ``--check`` writes nothing.

zeekscript knows the grammar, not the meaning: names and types are checked by
Zeek alone, when the tests run one.
"""

import argparse
import io
import shutil
import sys
from pathlib import Path

from zeekscript import Script

ROOT = Path(__file__).resolve().parents[1]


def formatted(path: Path) -> bytes:
    """Return the script of *path* as it should be; raise `ValueError` where it is none."""
    script = Script(str(path))
    if not script.parse():
        raise ValueError(f"{path.relative_to(ROOT)}: {script.get_error()[2]}")
    written = io.BytesIO()
    script.format(written)
    return written.getvalue()


def main() -> int:
    """Format all scripts, or tell which are not; say what was not checked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if stale")
    is_check = parser.parse_args().check
    paths = sorted({*(ROOT / "zeek-scripts").rglob("*.zeek"), *(ROOT / "tests").rglob("*.zeek")})
    status = 0
    for path in paths:
        try:
            wanted = formatted(path)
        except ValueError as error:
            print(error)
            status = 1
            continue
        if path.read_bytes() == wanted:
            continue
        print(f"{'not formatted' if is_check else 'formatted'}: {path.relative_to(ROOT)}")
        if is_check:
            status = 1
        else:
            path.write_bytes(wanted)
    print(f"{len(paths)} Zeek scripts parsed")
    if is_check and shutil.which("zeek") is None:
        print("NOT CHECKED BY ZEEK ITSELF: there is no zeek on the PATH", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
