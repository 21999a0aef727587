"""Messages that real Zeeks sent."""

from pathlib import Path

RECORDED = Path(__file__).parent / "recorded"
