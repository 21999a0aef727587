"""Tables of a Windows host: one module, one table."""
