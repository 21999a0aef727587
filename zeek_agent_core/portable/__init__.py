"""Rows of tables that several systems make in the same way."""
