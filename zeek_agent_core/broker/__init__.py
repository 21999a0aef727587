"""Talking to Zeek: messages, the protocol, and ways to carry it."""
