"""Writes what follows from the declarations of tables: pages, indexes, records of Zeek scripts.

The tables are those of the entry points in the source trees, and those that
`zeek_agent_core.schema` declares for packs to come. ``--check`` writes nothing
and fails if a file is stale.
"""

import argparse
import importlib
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
PACKS = ("linux", "darwin", "windows", "osquery")
sys.path[:0] = [str(ROOT), *(str(ROOT / "plugins" / pack) for pack in PACKS)]

from tools import configuration, zeek_records  # noqa: E402
from zeek_agent_core.table import EQ, PREFIX, RANGE, Column, Evented, Origin, Table  # noqa: E402

NOTE = "<!-- Written by tools/generate.py from the table's declaration. -->"
CONFIGURATION_NOTE = "<!-- Written by tools/generate.py from zeek_agent_core/config_keys.py. -->"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
CONDITIONS = {EQ: "`=`, `IN`", RANGE: "`<`, `>`, `BETWEEN`", PREFIX: "`LIKE`, `GLOB`"}
SYSTEMS = {"linux": "Linux", "darwin": "macOS", "windows": "Windows"}


@dataclass(frozen=True, slots=True)
class Documented:
    """A table and the distributions that provide it."""

    table: type[Table]
    providers: tuple[str, ...]
    origins: tuple[tuple[str, Origin], ...] = ()
    """The systems whose packs say where the rows come from."""

    @property
    def kind(self) -> str:
        """Return the kind of the table, in a word."""
        return "evented" if issubclass(self.table, Evented) else "snapshot"


def documented() -> dict[str, Documented]:
    """Return every table of the source trees, by name."""
    found: dict[str, Documented] = {}
    for folder in (ROOT, *(ROOT / "plugins" / pack for pack in PACKS)):
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        for module in project.get("entry-points", {}).get("zeek_agent", {}).values():
            for table in declared(importlib.import_module(module)):
                known = found.get(table.name, Documented(table, ()))
                providers = (*known.providers, str(project["name"]))
                origins = known.origins
                if table.origin is not None:
                    origins += ((SYSTEMS[folder.name], table.origin),)
                found[table.name] = Documented(known.table, providers, origins)
    for file in sorted((ROOT / "zeek_agent_core/schema").glob("[!_]*.py")):
        for table in declared(importlib.import_module(f"zeek_agent_core.schema.{file.stem}")):
            found.setdefault(table.name, Documented(table, ()))
    return dict(sorted(found.items()))


def declared(module: ModuleType) -> Iterator[type[Table]]:
    """Yield the tables in *module*, one of each name: rather its own than imported ones."""
    found: dict[str, type[Table]] = {}
    for value in vars(module).values():
        if not (isinstance(value, type) and issubclass(value, Table) and hasattr(value, "name")):
            continue
        if value.name not in found or value.__module__ == module.__name__:
            found[value.name] = value
    yield from found.values()


def page(entry: Documented) -> str:
    """Return the page of one table."""
    table = entry.table
    shown = [column for column in table.columns if not column.is_parameter]
    parameters = [column for column in table.columns if column.is_parameter]
    parts = [NOTE, f"# {table.name}", table.description(), facts(entry)]
    if parameters:
        rows = [(f"`{c.name[1:]}`", c.type, default(c), c.description) for c in parameters]
        parts += ["## Parameters", how_to_give(table, parameters)]
        parts.append(grid(("Parameter", "Type", "Default", "Description"), rows))
    columns = [(f"`{c.name}`", kind(c), description(c), conditions(c)) for c in shown]
    parts += ["## Columns", grid(("Column", "Type", "Description", "Passed on"), columns)]
    if any(column.pushdown for column in shown):
        parts.append(
            "A condition that is *passed on* lets the table produce fewer rows; "
            "all others are applied to the rows it has produced."
        )
    if entry.origins:
        parts += ["## Where the rows come from", origins(entry)]
    if table.examples:
        parts += ["## Examples", *(f"```sql\n{sql};\n```" for sql in table.examples)]
    return "\n\n".join(parts) + "\n"


def facts(entry: Documented) -> str:
    """Return the lines on where a table is, and of what kind."""
    lines = [f"- Kind: {entry.kind}", f"- Systems: {systems(entry.table)}"]
    if issubclass(entry.table, Evented):
        table = entry.table
        minutes = table.retention.total_seconds() / 60
        lines.append(f"- Holds: {minutes:g} minutes of events, at most {table.capacity:,}")
    provided = ", ".join(f"`{name}`" for name in entry.providers)
    lines.append(f"- Provided by: {provided or 'no pack yet'}")
    return "\n".join(lines)


def systems(table: type[Table]) -> str:
    """Return the names of the systems that have *table*, as people write them."""
    return ", ".join(SYSTEMS[name] for name in SYSTEMS if name in table.platforms)


def origins(entry: Documented) -> str:
    """Return what each system is asked, what that needs, and what stays NULL there."""
    rows = [
        (system, o.source, o.needs, ", ".join(f"`{name}`" for name in o.null) or "-", o.verified)
        for system, o in entry.origins
    ]
    return grid(("System", "Source", "Needs", "Always NULL", "Verified with"), rows)


def how_to_give(table: type[Table], parameters: Iterable[Column]) -> str:
    """Return a sentence on how to give the parameters of *table*."""
    names = [column.name for column in parameters]
    call = f"{table.name}({', '.join(name[1:] for name in names)})"
    return f"Given in this order, as `{call}`, or as conditions such as `{names[0]} = ...`."


def default(column: Column) -> str:
    """Return the default of a parameter in words."""
    if column.default is None:
        return "required"
    return f"`{column.default}`" if column.default != "" else "empty"


def kind(column: Column) -> str:
    """Return the type of *column*, with that of its elements."""
    return f"{column.type} of {column.element}" if column.element else str(column.type)


def description(column: Column) -> str:
    """Return what *column* is, with its older names."""
    older = ", ".join(f"`{alias}`" for alias in column.aliases)
    return f"{column.description} (also known as {older})" if older else column.description


def conditions(column: Column) -> str:
    """Return the conditions that reach the table."""
    return ", ".join(text for flag, text in CONDITIONS.items() if column.pushdown & flag)


def grid(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    titles = list(header)
    lines = [titles, ["---"] * len(titles), *(map(cell, row) for row in rows)]
    return "\n".join("| " + " | ".join(line).rstrip() + " |" for line in lines)


def cell(value: object) -> str:
    """Return the text of a cell of a Markdown table."""
    return str(value).replace("|", "\\|").replace("\t", "\\t")


def index(entries: Iterable[Documented], folder: str) -> str:
    """Return a list of tables with links to their pages in *folder*."""
    rows = [
        (
            f"[`{e.table.name}`]({folder}{e.table.name}.md)",
            e.kind,
            e.table.summary(),
            systems(e.table),
        )
        for e in entries
    ]
    return grid(("Table", "Kind", "Rows", "Systems"), rows) if rows else "No tables yet."


def between(text: str, inserted: str, where: Path) -> str:
    """Return *text* with *inserted* between the markers."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{where} lacks the markers {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n{inserted}\n\n{END}{tail}"


def files(tables: Mapping[str, Documented]) -> dict[Path, str]:
    """Return the content of every generated file."""
    pages = ROOT / "docs/tables"
    written = {pages / f"{name}.md": page(entry) for name, entry in tables.items()}
    written[pages / "README.md"] = f"{NOTE}\n\n# Tables\n\n{index(tables.values(), '')}\n"
    written[configuration.path(ROOT)] = configuration.page(CONFIGURATION_NOTE)
    for pack in PACKS:
        readme = ROOT / "plugins" / pack / "README.md"
        provided = [e for e in tables.values() if f"zeek-agent-{pack}" in e.providers]
        listed = index(provided, "../../docs/tables/")
        written[readme] = between(readme.read_text(), listed, readme)
    for script in zeek_records.scripts(ROOT):
        written[script] = zeek_records.with_records(script.read_text(), lambda n: tables[n].table)
    return written


def main() -> int:
    """Write the files, or tell which are stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if stale")
    is_check = parser.parse_args().check
    wanted = files(documented())
    surplus = set((ROOT / "docs/tables").glob("*.md")) - set(wanted)
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    for path in sorted({*stale, *surplus}):
        print(f"{'stale' if is_check else 'written'}: {path.relative_to(ROOT)}")
    if is_check:
        return 1 if stale or surplus else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path])
    for path in surplus:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
