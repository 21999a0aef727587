"""Statements for an agent that runs in another process of this host."""
