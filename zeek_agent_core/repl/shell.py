"""The loop of a console: reads statements, runs them, until the user or the agent leaves."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self

from zeek_agent_core import __version__
from zeek_agent_core.errors import AgentError
from zeek_agent_core.repl.backend import Backend
from zeek_agent_core.repl.commands import declared, execute
from zeek_agent_core.repl.console import Console, Settings
from zeek_agent_core.repl.screen import Screen
from zeek_agent_core.repl.typed import Typed

OK, FAILED = 0, 1
BANNER = f"Zeek Agent v{__version__}. Enter SQL, or .help for commands; .quit or Ctrl-D leaves."
PROMPT, CONTINUED = "> ", "... "


class Reader(Protocol):
    """Where statements come from."""

    async def read(self) -> list[str]:
        """Return the next statements; raise `EOFError` after the last."""


async def run(
    backend: Backend,
    *,
    state_directory: Path | None = None,
    keys: str = "emacs",
    screen: Screen | None = None,
) -> int:
    """Talk to the user until they leave or the agent ends; return the exit status.

    With a terminal it is a console with completion and history, which is kept
    in *state_directory*; otherwise statements are read from standard input.
    """
    screen = screen or Screen()
    is_interactive = sys.stdin.isatty() and screen.is_terminal
    settings = Settings(keys=keys)
    if is_interactive:
        settings = Settings("auto", is_exact=False, is_timed=True, is_paged=True, keys=keys)
    console = Console(backend, screen, settings, is_interactive=is_interactive)
    with Interrupts(lambda: screen.is_paging) as interrupts:
        talk = asyncio.create_task(_talk(console, interrupts, state_directory), name="console")
        gone = asyncio.create_task(backend.wait_closed(), name="console: end of the agent")
        tasks = {talk, gone, asyncio.create_task(_learn(console), name="console: schema")}
        try:
            await asyncio.wait({talk, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    if not talk.cancelled():
        return talk.result()
    if console.is_leaving:
        return OK
    screen.complain("the agent has ended")
    return FAILED


def _redraw() -> None:
    """Colour what is being typed with the tables known now."""
    prompting = sys.modules.get("prompt_toolkit.application")  # a plain terminal has none
    application = prompting.get_app_or_none() if prompting is not None else None
    if application is not None:
        application.invalidate()


async def _learn(console: Console) -> None:
    """Learn the tables while the user begins to type."""
    if console.is_interactive:
        await console.is_ready.wait()
        declared()
        with suppress(AgentError):
            await console.known()
            _redraw()


async def _talk(console: Console, interrupts: "Interrupts", state: Path | None) -> int:
    """Read and run statements until there are no more."""
    status = OK
    try:
        with _reader(console, interrupts, state) as reader:
            while not console.is_leaving:
                try:
                    texts = await reader.read()
                except EOFError:
                    break
                if not await _run_all(console, interrupts, texts) and not console.is_interactive:
                    status = FAILED
    finally:
        console.close_file()
    return status


async def _run_all(console: Console, interrupts: "Interrupts", texts: list[str]) -> bool:
    """Run statements until one leaves; return whether all went well.

    Of what a user typed at once nothing runs after a failure or Ctrl-C.
    """
    is_well = True
    if console.is_interactive:
        console.queued.extend(texts[1:])
        texts = texts[:1]
    for text in texts:
        is_well &= await _run(console, interrupts, text)
        if console.is_leaving:
            break
    return is_well


async def _run(console: Console, interrupts: "Interrupts", text: str) -> bool:
    """Run one statement, which Ctrl-C cancels; return whether it went well."""
    try:
        if not await interrupts.until_interrupted(execute(console, text)):
            console.remark("cancelled")
    except AgentError as error:
        console.screen.complain(str(error))
        return False
    return True


@contextmanager
def _reader(console: Console, interrupts: "Interrupts", state: Path | None) -> Iterator[Reader]:
    """Give what reads statements: a prompt with all comforts where the terminal has them."""
    if not console.is_interactive:
        yield Piped()
        return
    console.screen.write(f"{BANNER}\n")
    if not console.screen.is_capable:
        console.is_ready.set()
        yield Dumb(console.screen, interrupts)
        return
    from zeek_agent_core.repl.prompt import Prompt  # noqa: PLC0415 - 90 ms of prompt_toolkit

    with Prompt(console, state) as prompt:
        yield prompt


class Interrupts:
    """Ctrl-C: cancels what runs, and nothing else."""

    def __init__(self, is_held: Callable[[], bool]) -> None:
        """Prepare; nothing is cancelled while *is_held* says that Ctrl-C is another's affair."""
        self.is_held = is_held
        self.action: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        """Take the signal over."""
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGINT, self.interrupt)
        except NotImplementedError:  # Windows

            def pressed(*_: object) -> None:
                loop.call_soon_threadsafe(self.interrupt)

            signal.signal(signal.SIGINT, pressed)
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        try:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
        except NotImplementedError:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(self) -> None:
        """Do what Ctrl-C does now."""
        if self.action is not None:
            self.action()

    async def until_interrupted(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run *work*; return whether it came to its end."""
        task = asyncio.ensure_future(work)
        interrupted: list[asyncio.Task[None]] = []

        def stop() -> None:
            if not self.is_held():
                interrupted.append(task)
                task.cancel()

        self.action = stop
        try:
            await task
        except asyncio.CancelledError:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
                raise
            if task in interrupted:
                return False
            raise
        finally:
            self.action = None
        return True


class Piped:
    """Statements from a pipe or file; `;` ends each."""

    def __init__(self) -> None:
        """Read standard input."""
        from zeek_agent_core.repl.script import Splitter  # noqa: PLC0415 - not for a prompt

        self._typed = Typed(sys.stdin)
        self._splitter = Splitter()
        self._is_done = False

    async def read(self) -> list[str]:
        """Return the statements that the next line ends."""
        if self._is_done:
            raise EOFError
        line = await self._typed.line()
        if line:
            return self._splitter.feed(line)
        self._is_done = True
        return self._splitter.end()


class Dumb:
    """Statements typed at a terminal that cannot move its cursor."""

    def __init__(self, screen: Screen, interrupts: Interrupts) -> None:
        """Prompt on *screen*; Ctrl-C drops what was typed."""
        self._typed = Typed(sys.stdin)
        self._screen = screen
        self._interrupts = interrupts
        self._is_dropped = False

    async def read(self) -> list[str]:
        """Return what was typed up to the end of a statement."""
        from zeek_agent_core.repl.lexer import is_finished  # noqa: PLC0415 - not for a prompt
        from zeek_agent_core.repl.script import together  # noqa: PLC0415 - not for a prompt

        text = ""
        self._screen.write(PROMPT)
        self._interrupts.action = self._drop
        try:
            while True:
                line = await self._typed.line()
                if self._is_dropped:
                    text, self._is_dropped = "", False
                if not line:
                    raise EOFError
                text += line
                if is_finished(text.rstrip("\n")):
                    return together(text)
                self._screen.write(CONTINUED)
        finally:
            self._interrupts.action = None

    def _drop(self) -> None:
        self._is_dropped = True
        self._screen.write(f"\n{PROMPT}")
