"""A prompt with completion, colours and history; the one module that needs prompt_toolkit."""

import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER, EditingMode
from prompt_toolkit.filters import has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.patch_stdout import StdoutProxy
from prompt_toolkit.styles import Style

from zeek_agent_core.repl import history
from zeek_agent_core.repl.commands import declared
from zeek_agent_core.repl.console import Console
from zeek_agent_core.repl.schema import Schema

STYLE = Style.from_dict(
    {
        "prompt": "ansiyellow",
        "sql.keyword": "ansiblue bold",
        "sql.function": "ansicyan",
        "sql.table": "ansigreen",
        "sql.string": "ansimagenta",
        "sql.number": "ansired",
        "sql.comment": "ansibrightblack italic",
        "sql.command": "ansiyellow",
        "completion-menu.meta.completion": "bg:ansibrightblack ansiwhite",
        "completion-menu.meta.completion.current": "bg:ansiwhite ansiblack",
    }
)
SHOWN = 200
"""Candidates the menu has at most; more cannot be looked through."""


class Prompt:
    """Reads statements from a terminal; use as ``with Prompt(console, directory) as prompt``."""

    def __init__(self, console: Console, state: Path | None) -> None:
        """Keep the history in the directory *state*."""
        self._console = console
        self._history = _history(state)
        self._logs = LogsAbove()
        self._session: PromptSession[str] = PromptSession(
            message=[("class:prompt", "> ")],
            multiline=True,
            prompt_continuation=lambda width, _line, _soft: [("class:prompt", ". ".rjust(width))],
            lexer=SqlLexer(lambda: console.schema),
            completer=SqlCompleter(lambda: console.schema),
            complete_while_typing=True,
            style=STYLE,
            history=self._history,
            key_bindings=bindings(),
            enable_suspend=True,
            color_depth=None if console.screen.has_colours else _monochrome(),
        )
        self._session.app.after_render += lambda _: console.is_ready.set()
        console.history = self._typed

    def __enter__(self) -> Self:
        """Write log lines above the prompt from now on."""
        self._logs.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write them where they went before."""
        self._logs.__exit__(kind, error, trace)

    async def read(self) -> list[str]:
        """Return what was typed; Ctrl-C drops it, Ctrl-D leaves."""
        is_vi = self._console.settings.keys == "vi"
        self._session.editing_mode = EditingMode.VI if is_vi else EditingMode.EMACS
        try:
            text = await self._session.prompt_async(handle_sigint=False)
        except KeyboardInterrupt:
            return []
        from zeek_agent_core.repl.script import together  # noqa: PLC0415 - after the prompt

        return together(text)

    def _typed(self) -> list[str]:
        return list(self._history.get_strings())


def _history(state: Path | None) -> History:
    path = None if state is None else history.file_in(state)
    return InMemoryHistory() if path is None else FileHistory(str(path))


def bindings() -> KeyBindings:
    """Return the keys that differ from prompt_toolkit's own: Enter runs what is complete."""
    keys = KeyBindings()
    is_statement = has_focus(DEFAULT_BUFFER)  # and not the field of a search

    @keys.add("enter", filter=is_statement)
    def _enter(event: KeyPressEvent) -> None:
        from zeek_agent_core.repl.lexer import is_finished  # noqa: PLC0415 - after the prompt

        buffer = event.current_buffer
        state = buffer.complete_state
        if state is not None and state.current_completion is not None:
            buffer.complete_state = None  # the candidate chosen is in the text already
        elif buffer.document.text_after_cursor.strip() or is_finished(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    @keys.add("escape", "enter", filter=is_statement)
    def _newline(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _monochrome() -> ColorDepth:
    return ColorDepth.DEPTH_1_BIT


class SqlCompleter(Completer):
    """Offers what `complete` finds."""

    def __init__(self, schema: Callable[[], Schema]) -> None:
        """Complete by the tables that *schema* returns."""
        self._schema = schema

    def get_completions(self, document: Document, _event: CompleteEvent) -> Iterable[Completion]:
        """Return the candidates for the word before the cursor."""
        from zeek_agent_core.repl.complete import candidates  # noqa: PLC0415 - after the prompt
        from zeek_agent_core.repl.paths import beginning_with  # noqa: PLC0415 - after the prompt

        found = candidates(
            document.text_before_cursor,
            self._schema(),
            after=document.text_after_cursor,
            commands={c.name: (c.argument, c.summary) for c in declared().values()},
            files=beginning_with,
        )
        for candidate in found[:SHOWN]:
            yield Completion(
                candidate.text,
                candidate.start,
                display_meta=candidate.description or candidate.kind,
            )


class SqlLexer(Lexer):
    """Colours SQL as it is typed."""

    def __init__(self, schema: Callable[[], Schema]) -> None:
        """Know the tables that *schema* returns."""
        self._schema = schema

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """Return what gives the coloured pieces of a line."""
        if not document.text:
            return lambda _: []
        from zeek_agent_core.repl.highlight import coloured  # noqa: PLC0415 - after the prompt

        lines: list[StyleAndTextTuples] = []
        known: Schema | None = None

        def line(number: int) -> StyleAndTextTuples:
            nonlocal known
            schema = self._schema()
            if schema is not known:  # also when more tables become known while one types
                known = schema
                lines[:] = _lines(coloured(document.text, schema))
            return lines[number] if number < len(lines) else []

        return line


def _lines(pieces: Iterable[tuple[str, str]]) -> list[StyleAndTextTuples]:
    """Return coloured *pieces* of text by line."""
    lines: list[StyleAndTextTuples] = [[]]
    for style, text in pieces:
        first, *more = text.split("\n")
        lines[-1].append((style, first))
        lines += ([(style, piece)] for piece in more)
    return lines


class LogsAbove:
    """Keeps log lines from breaking into the line being typed."""

    def __init__(self) -> None:
        """Prepare; nothing happens before ``with``."""
        self._proxy: StdoutProxy | None = None
        self._errors = sys.stderr

    def __enter__(self) -> None:
        """Send what goes to the terminal's standard error through a proxy."""
        if not sys.stderr.isatty():
            return
        self._proxy = StdoutProxy(raw=True)
        self._errors = sys.stderr
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
                handler.setStream(self._proxy)
        sys.stderr = self._proxy

    def __exit__(self, *_: object) -> None:
        """Write to the terminal directly again."""
        if self._proxy is None:
            return
        sys.stderr = self._errors
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is self._proxy:
                handler.setStream(self._errors)
        self._proxy.close()
        self._proxy = None
