"""Screens of a terminal, with their colours, as one SVG that shows them in turn."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

LETTER, LINE, MARGIN = 8.4, 18, 14
INK, PAPER = "#d8dee9", "#1f2430"
COLOURS = {
    30: "#3b4252", 31: "#e06c75", 32: "#98c379", 33: "#e5c07b", 34: "#61afef", 35: "#c678dd",
    36: "#56b6c2", 37: "#d8dee9", 90: "#7f8797", 97: "#ffffff",
}  # fmt: skip
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
_OTHER = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-ln-z]|[()][A-Z0-9]|[\x0e\x0f])|[\x0e\x0f]")


class Look(NamedTuple):
    """How a piece of text looks."""

    ink: str = INK
    paper: str = ""
    is_bold: bool = False
    is_dim: bool = False
    is_reversed: bool = False


class Frame(NamedTuple):
    """A screen, and for how many seconds it is shown."""

    screen: str
    seconds: float


def pieces(line: str, look: Look) -> Iterator[tuple[Look, str]]:
    """Yield the parts of *line* that look alike; the last one's look goes on below."""
    position = 0
    for match in _SGR.finditer(line):
        yield look, line[position : match.start()]
        look = _changed(look, [int(code or 0) for code in match[1].split(";")])
        position = match.end()
    yield look, line[position:]


def _changed(look: Look, codes: list[int]) -> Look:
    while codes:
        code = codes.pop(0)
        if code == 0:
            look = Look()
        elif code in (1, 2, 7):
            name = {1: "is_bold", 2: "is_dim", 7: "is_reversed"}[code]
            look = look._replace(**{name: True})
        elif code in (38, 48) and codes[:1] == [5]:
            look = look._replace(**{"ink" if code == 38 else "paper": _palette(codes[1])})  # noqa: PLR2004
            del codes[:2]
        elif code in COLOURS or code == 39:  # noqa: PLR2004 - codes of ECMA-48
            look = look._replace(ink=COLOURS.get(code, INK))
        elif code - 10 in COLOURS or code == 49:  # noqa: PLR2004
            look = look._replace(paper=COLOURS.get(code - 10, ""))
    return look


def _palette(number: int) -> str:
    """Return a colour of the table of 256."""
    if number < 16:  # noqa: PLR2004 - the first are those with names
        return COLOURS.get(30 + number if number < 8 else 82 + number, INK)  # noqa: PLR2004
    if number >= 232:  # noqa: PLR2004 - shades of grey
        return "#" + f"{8 + 10 * (number - 232):02x}" * 3
    steps = (0, 95, 135, 175, 215, 255)
    number -= 16
    return "#" + "".join(
        f"{steps[part]:02x}" for part in (number // 36, number // 6 % 6, number % 6)
    )


def svg(frames: Sequence[Frame], columns: int, rows: int) -> str:
    """Return the frames as an SVG that repeats them for ever."""
    width, height = columns * LETTER + 2 * MARGIN, rows * LINE + 2 * MARGIN
    total = sum(frame.seconds for frame in frames)
    style, groups, begun = [], [], 0.0
    for number, frame in enumerate(frames):
        start, end = begun / total * 100, (begun + frame.seconds) / total * 100
        begun += frame.seconds
        is_last = number == len(frames) - 1  # what a viewer without animation shows
        style.append(
            f"@keyframes k{number}{{0%{{opacity:{int(start == 0)}}}{start:.3f}%{{opacity:1}}"
            f"{end:.3f}%{{opacity:0}}100%{{opacity:0}}}}"
            f"#f{number}{{opacity:{int(is_last)};animation:k{number} {total:g}s step-end infinite}}"
        )
        groups.append(f'<g id="f{number}">{"".join(_lines(frame.screen))}</g>')
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">\n'
        f"<style>text{{font:14px ui-monospace,Menlo,Consolas,monospace;white-space:pre}}"
        f"{''.join(style)}</style>\n"
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>\n'
        + "\n".join(groups)
        + "\n</svg>\n"
    )


def _lines(screen: str) -> Iterator[str]:
    look = Look()
    for row, line in enumerate(screen.rstrip("\n").split("\n")):
        column = 0
        for piece_look, text in pieces(_OTHER.sub("", line), look):
            look = piece_look
            if text:
                yield from _piece(look, text, column, row)
                column += len(text)


def _piece(look: Look, text: str, column: int, row: int) -> Iterator[str]:
    ink, paper = look.ink, look.paper
    if look.is_reversed:
        ink, paper = paper or PAPER, ink
    x, y, size = MARGIN + column * LETTER, MARGIN + row * LINE, len(text) * LETTER
    if paper:
        yield f'<rect x="{x:.1f}" y="{y}" width="{size:.1f}" height="{LINE}" fill="{paper}"/>'
    if text.strip():
        weight = ' font-weight="bold"' if look.is_bold else ""
        faint = ' opacity=".6"' if look.is_dim else ""
        yield (
            f'<text x="{x:.1f}" y="{y + 14}" textLength="{size:.1f}" fill="{ink}"{weight}{faint}>'
            f"{escape(text, quote=False)}</text>"
        )
