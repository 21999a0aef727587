"""The programs, each a function that assembles it for one kernel."""
