"""The SQLite database: tables in, rows out."""
