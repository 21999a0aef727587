"""A parser of arguments that behaves as the agent's users know it."""

import argparse
import sys
from typing import NoReturn

FAILED = 1


class Parser(argparse.ArgumentParser):
    """Prints its help on standard error, and ends with status 1 on bad usage."""

    def print_help(self, file: object = None) -> None:  # noqa: ARG002 - always the same place
        """Print the help."""
        self._print_message(self.format_help(), sys.stderr)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end."""
        self.print_usage(sys.stderr)
        self.exit(FAILED, f"zeek-agent: {message}\n")
