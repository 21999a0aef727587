"""Declarations of tables that several packs fill; no rows."""
