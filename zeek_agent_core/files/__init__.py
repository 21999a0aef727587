"""Rows of the `files_*` tables, the same on every platform; packs only offer them."""
