"""Tables about the agent itself."""
