"""Commands that begin with a dot, declared by decorator; help and completion follow from that.

The words of a declared argument say what they are: `SQL` is the rest of the
line, `TABLE`, `FILE` and `COMMAND` are names, `a|b` is one of those words, and
what stands in brackets may be left out.
"""

import difflib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from zeek_agent_core.errors import StatementError
from zeek_agent_core.query import ResultColumn
from zeek_agent_core.repl.console import Console
from zeek_agent_core.values import Type

Function = Callable[[Console, str], Awaitable[None]]


class Command(NamedTuple):
    """A declared command."""

    name: str
    argument: str
    summary: str
    function: Function
    is_for_talk: bool
    """Whether it makes sense only where statements are read one after the other."""

    @property
    def usage(self) -> str:
        """The command with its argument."""
        return f"{self.name} {self.argument}".strip()


COMMANDS: dict[str, Command] = {}


def command(
    name: str, argument: str = "", *, is_for_talk: bool = False
) -> Callable[[Function], Function]:
    """Declare a command; its docstring's first line is its help."""

    def declare(function: Function) -> Function:
        summary = (function.__doc__ or "").partition("\n")[0]
        COMMANDS[name] = Command(name, argument, summary, function, is_for_talk)
        return function

    return declare


async def execute(console: Console, text: str) -> None:
    """Run a statement or a command, and what that puts into the queue."""
    console.queued.appendleft(text)
    try:
        while console.queued:
            await _execute(console, console.queued.popleft())
    finally:
        console.queued.clear()


async def _execute(console: Console, text: str) -> None:
    if text.lstrip().startswith("."):
        await run(console, text)
    else:
        await console.query(text)


async def run(console: Console, text: str) -> None:
    """Run the command *text*; raise `StatementError` if there is none of its name."""
    name, *rest = text.strip().rstrip(";").split(None, 1) or [""]
    argument = rest[0].strip() if rest else ""
    known = find(name, is_talk=console.is_talk)
    if argument and not known.argument:
        raise StatementError(f"{name} takes no argument")
    if not argument and known.argument and not known.argument.startswith("["):
        problem = "cannot parse table name; " if known.argument == "TABLE" else ""
        raise StatementError(f"{problem}write {known.usage}")
    await known.function(console, argument)


def find(name: str, *, is_talk: bool = True) -> Command:
    """Return the command *name*; raise `StatementError` with the nearest if there is none."""
    known = COMMANDS.get(name)
    if known is None or (known.is_for_talk and not is_talk):
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else "; .help lists all"
        raise StatementError(f"unknown command: {name}{hint}")
    return known


def chosen(text: str, *choices: str) -> str:
    """Return *text* if it is one of *choices*; else raise `StatementError`."""
    word = text.strip().lower()
    if word not in choices:
        near = difflib.get_close_matches(word, choices, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise StatementError(f"'{text}' is not one of {', '.join(choices)}{hint}")
    return word


def texts(*names: str) -> tuple[ResultColumn, ...]:
    """Return columns of text."""
    return tuple(ResultColumn(name, Type.TEXT) for name in names)


@command(".help", "[COMMAND]")
async def _help(console: Console, argument: str) -> None:
    """List the commands, or explain one."""
    if argument:
        known = find(argument if argument.startswith(".") else f".{argument}")
        text = (known.function.__doc__ or "").strip().splitlines()
        await console.show_lines([known.usage, *(f"    {line.strip()}".rstrip() for line in text)])
        return
    rows = [(known.usage, known.summary) for known in sorted(COMMANDS.values())]
    await console.show_list(texts("Command", "Description"), rows)
