"""Kernel auditing: records in, events out, and being the audit daemon where there is none.

`hub.py` is where tables begin; `records.py`, `assembler.py` and what they use
are pure.
"""
