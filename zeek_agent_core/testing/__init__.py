"""For authors of tables: a conformance kit and pytest fixtures."""
