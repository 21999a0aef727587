"""The operating system as SQL tables, for Zeek and for people."""

__version__ = "3.0.0"
