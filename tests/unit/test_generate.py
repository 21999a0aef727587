"""The generated pages follow the declarations."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import Beats, echo, fruits, table
from tools import generate
from zeek_agent_core.api import Column, Type

ROOT = Path(generate.__file__).parents[1]


def documented(table, *providers: str) -> generate.Documented:
    """Return the class of *table* with its providers."""
    return generate.Documented(type(table), providers)


def test_generated_files_are_current():
    """Nobody has changed a declaration without the pages, or a page by hand."""
    command = [sys.executable, str(ROOT / "tools/generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_table_has_a_page():
    """The index links to a page for each table of core and packs."""
    tables = generate.documented()
    index = (ROOT / "docs/tables/README.md").read_text()
    for name in tables:
        assert f"[`{name}`]({name}.md)" in index
    assert "zeek-agent-core" in tables["zeek_agent_tables"].providers


def test_a_page_tells_columns_and_conditions():
    """Names, types, descriptions and what is passed on are in the page."""
    page = generate.page(documented(fruits(), "pack-one"))
    assert "# fruits\n\nA table made for a test." in page
    assert "| `name` | text | what it is called | `=`, `IN`, `<`, `>`, `BETWEEN`, `LIKE`" in page
    assert "| `color` | text | colour of the skin | |" in page
    assert "- Provided by: `pack-one`" in page
    assert "## Parameters" not in page


def test_a_page_tells_older_names():
    """The names by which older queries call a column stand beside it."""
    aged = (Column("weight", Type.COUNT, "in grams", aliases=("mass", "load")),)
    page = generate.page(documented(table([], columns=aged), "pack-one"))
    assert "| `weight` | count | in grams (also known as `mass`, `load`) | |" in page


def test_a_page_tells_parameters():
    """Parameters are shown without underscore, with their defaults."""
    parameters = (
        Column("_path", Type.TEXT, "a path"),
        Column("_sign", Type.TEXT, "a | sign", default=""),
        Column("_count", Type.COUNT, "a count", default=3),
    )
    page = generate.page(documented(echo(*parameters)))
    assert "as `echo(path, sign, count)`" in page
    assert "| `path` | text | required | a path |" in page
    assert "| `sign` | text | empty | a \\| sign |" in page
    assert "| `count` | count | `3` | a count |" in page
    assert "- Provided by: no pack yet" in page


def test_a_page_tells_how_long_events_are_held():
    """An evented table has a retention and a capacity."""
    page = generate.page(generate.Documented(Beats, ()))
    assert "- Kind: evented" in page
    assert "- Holds: 10 minutes of events, at most 100,000" in page


def test_an_index_stands_between_its_markers():
    """The rest of a file is left as it is; a file without markers is refused."""
    text = f"before\n{generate.BEGIN}\nold\n{generate.END}\nafter"
    written = generate.between(text, "new", Path("README.md"))
    assert written == f"before\n{generate.BEGIN}\n\nnew\n\n{generate.END}\nafter"
    assert generate.between(written, "new", Path("README.md")) == written
    with pytest.raises(SystemExit, match=r"README\.md lacks the markers"):
        generate.between("nothing", "new", Path("README.md"))


def test_an_empty_index_says_so():
    """A pack without tables has no empty grid."""
    assert generate.index([], "") == "No tables yet."
