"""The agent as a service of the system: systemd, launchd, Windows."""
