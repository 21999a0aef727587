"""Tables about the weather: one module, one table."""
