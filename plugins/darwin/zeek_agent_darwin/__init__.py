"""Tables of a macOS host: one module, one table."""
