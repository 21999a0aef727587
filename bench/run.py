"""Runs all benchmarks one after the other; names on the command line pick some."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Run each `bench_*.py`; return 1 if one of them fails."""
    wanted = sys.argv[1:]
    status = 0
    for path in sorted(HERE.glob("bench_*.py")):
        if wanted and path.stem.removeprefix("bench_") not in wanted:
            continue
        print(f"== {path.stem.removeprefix('bench_')}", flush=True)
        status |= subprocess.run([sys.executable, str(path)], check=False).returncode != 0
        print(flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
