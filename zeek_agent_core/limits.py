"""Bounds that one statement must keep."""

from dataclasses import dataclass

MEBI = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may use; going past one ends that statement alone."""

    seconds: float = 30.0
    """Time a statement may run."""
    rows: int = 1_000_000
    """Rows it may return."""
    result_bytes: int = 256 * MEBI
    """Size of the text and blobs it may return."""
    memory_bytes: int = 256 * MEBI
    """What SQLite may hold while it sorts, groups and joins."""
    recursion_steps: int = 100_000_000
    """Virtual machine steps of a statement with a recursive part; 0 allows none."""
    cell_bytes: int = 16 * MEBI
    """Size of a single value."""
    sql_bytes: int = 100_000
    """Length of a statement's text."""
