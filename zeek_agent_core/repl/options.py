"""Commands that change how a console works, and where results go."""

from zeek_agent_core.errors import OutputError, StatementError
from zeek_agent_core.repl import render
from zeek_agent_core.repl.commands import chosen, command, texts
from zeek_agent_core.repl.console import Console
from zeek_agent_core.repl.script import read_file


def _switch(console: Console, name: str, argument: str, *, is_on: bool) -> bool:
    """Return what *argument* sets; without one, tell how it is set."""
    if not argument:
        console.remark(f"{name} is {'on' if is_on else 'off'}")
        return is_on
    return chosen(argument, "on", "off") == "on"


@command(".mode", f"[{'|'.join(render.MODES)}]")
async def _mode(console: Console, argument: str) -> None:
    """Choose the form of results.

    `auto` is a table, or a line for each value where the screen is too narrow.
    """
    if not argument:
        console.remark(f"mode is {console.settings.mode}")
        return
    console.settings.mode = chosen(argument, *render.MODES)


@command(".timer", "[on|off]")
async def _timer(console: Console, argument: str) -> None:
    """Show or hide how many rows there were and how long they took."""
    settings = console.settings
    settings.is_timed = _switch(console, "timer", argument, is_on=settings.is_timed)


@command(".pager", "[on|off]")
async def _pager(console: Console, argument: str) -> None:
    """Show results longer than the screen through a pager, or at once."""
    settings = console.settings
    settings.is_paged = _switch(console, "pager", argument, is_on=settings.is_paged)


@command(".times", "[readable|exact]")
async def _times(console: Console, argument: str) -> None:
    """Show times in the local zone and rounded intervals, or both with all their digits.

    CSV and JSON are always exact.
    """
    if not argument:
        console.remark(f"times are {'exact' if console.settings.is_exact else 'readable'}")
        return
    console.settings.is_exact = chosen(argument, "readable", "exact") == "exact"


@command(".nullvalue", "[TEXT]")
async def _nullvalue(console: Console, argument: str) -> None:
    """Set the text that stands for NULL; without one, each mode has its own."""
    is_quoted = len(argument) > 1 and argument[0] == argument[-1] and argument[0] in "'\""
    text = argument[1:-1] if is_quoted else argument
    console.settings.null = text if argument else None


@command(".width", "[NUMBERS]")
async def _width(console: Console, argument: str) -> None:
    """Set the widths of the columns of tables: 0 is as wide as its values, none resets all."""
    try:
        widths = tuple(int(word) for word in argument.replace(",", " ").split())
    except ValueError:
        raise StatementError(
            f"'{argument}' are not numbers; write for example .width 20 0 8"
        ) from None
    if any(width < 0 for width in widths):
        raise StatementError("a width cannot be negative")
    console.settings.widths = widths


@command(".keys", "[emacs|vi]")
async def _keys(console: Console, argument: str) -> None:
    """Choose the keys that edit a line."""
    if not argument:
        console.remark(f"keys are those of {console.settings.keys}")
        return
    console.settings.keys = chosen(argument, "emacs", "vi")


@command(".output", "[FILE]")
async def _output(console: Console, argument: str) -> None:
    """Send all results to a file; without one, to the screen again."""
    if argument:
        console.open_file(argument, is_once=False)
    else:
        console.close_file()


@command(".once", "FILE")
async def _once(console: Console, argument: str) -> None:
    """Send the next result to a file."""
    console.open_file(argument, is_once=True)


@command(".read", "FILE")
async def _read(console: Console, argument: str) -> None:
    """Run the statements and commands of a file."""
    if len(console.queued) > 10_000:  # noqa: PLR2004 - a file that reads itself
        raise OutputError(f"cannot read {argument}: too many statements wait already")
    console.queued.extendleft(reversed(read_file(argument)))


@command(".history", "[COUNT]", is_for_talk=True)
async def _history(console: Console, argument: str) -> None:
    """List what was typed, the latest last."""
    if argument and not argument.isdecimal():
        raise StatementError(f"'{argument}' is not a number; write .history [COUNT]")
    most = int(argument or 20)
    typed = list(console.history())
    shown = list(enumerate(typed, 1))[-most:] if most else []
    await console.show(texts("Number", "Statement"), [(str(n), text) for n, text in shown])


@command(".quit", is_for_talk=True)
async def _quit(console: Console, _: str) -> None:
    """Leave the console."""
    console.is_leaving = True


@command(".exit", is_for_talk=True)
async def _exit(console: Console, _: str) -> None:
    """Leave the console."""
    console.is_leaving = True


@command(".terminate")
async def _terminate(console: Console, _: str) -> None:
    """End the agent, and with it the console."""
    await console.backend.terminate()
    console.is_leaving = True
