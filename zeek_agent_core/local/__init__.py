"""Running queries without a Zeek, and writing what Zeek would write."""
