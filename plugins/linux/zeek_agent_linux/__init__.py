"""Tables of a Linux host: one module, one table."""
