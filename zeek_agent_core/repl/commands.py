"""Commands that begin with a dot, declared by decorator; help and completion follow from that.

The words of a declared argument say what they are: `SQL` is the rest of the
line, `TABLE`, `FILE` and `COMMAND` are names, `a|b` is one of those words, and
what stands in brackets may be left out.
"""

from collections.abc import Awaitable, Callable, Iterable
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


def declared() -> dict[str, Command]:
    """Return all commands; what declares them is loaded when they are first asked for."""
    from zeek_agent_core.repl import about, live, options  # noqa: F401, PLC0415 - 10 ms

    return COMMANDS


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
        while console.queued and not console.is_leaving:
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
    """Return the command *name*; raise `StatementError` if there is none to run."""
    known = declared().get(name)
    if known is not None and known.is_for_talk and not is_talk:
        raise StatementError(f"{name} is only for a console")
    if known is None:
        hint = nearest(name, COMMANDS) or "; .help lists all"
        raise StatementError(f"unknown command: {name}{hint}")
    return known


def nearest(word: str, known: Iterable[str], most: int = 1) -> str:
    """Return a hint at those of *known* that *word* may have meant; nothing if there are none."""
    import difflib  # noqa: PLC0415 - only after mistakes

    near = difflib.get_close_matches(word, list(known), n=most)
    return f" (did you mean {', '.join(near)}?)" if near else ""


def chosen(text: str, *choices: str) -> str:
    """Return *text* if it is one of *choices*; else raise `StatementError`."""
    word = text.strip().lower()
    if word not in choices:
        known = ", ".join(choices)
        raise StatementError(f"'{text}' is not one of {known}{nearest(word, choices)}")
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
    rows = [(known.usage, known.summary) for known in sorted(declared().values())]
    await console.show_list(texts("Command", "Description"), rows)
