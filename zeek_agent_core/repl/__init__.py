"""Statements typed by people, and results as text."""
