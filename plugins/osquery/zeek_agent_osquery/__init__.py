"""The tables of an osquery that runs on the same host, for the Zeek agent."""
