"""When queries run, and what changed between two runs."""
