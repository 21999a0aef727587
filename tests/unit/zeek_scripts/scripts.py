"""What the scripts of the Zeek package say, read without Zeek."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "zeek-scripts"
TABLES = sorted(path for path in (SCRIPTS / "tables").glob("*.zeek") if "__" not in path.name)

_STATEMENT = re.compile(
    r"^const (\w*(?:statement|template))\s*=\s*(.*?);$", re.DOTALL | re.MULTILINE
)
_RECORD = re.compile(r"\ttype (Columns\w*): record \{\n(.*?)\n\t\};", re.DOTALL)
_FIELD = re.compile(r"^\t\t(\w+): ([^&]+?) &", re.MULTILINE)
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


def statements(path):
    """Return the statements of a script that are constants, by name."""
    found = _STATEMENT.findall(path.read_text())
    texts = {name: "".join(_TEXT.findall(value)) for name, value in found}
    return {name: text.replace('\\"', '"') for name, text in texts.items()}


def records(path):
    """Return the fields of each record of columns: name and type."""
    return {name: _FIELD.findall(body) for name, body in _RECORD.findall(path.read_text())}


def examples():
    """Return the scripts in the documentation; mere statements are put into an event."""
    text = "".join((ROOT / f"docs/{page}.md").read_text() for page in ("zeek", "attribution"))
    found = re.findall(r"^```zeek\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block if _DECLARATION.match(block) else _STATEMENTS % block for block in found]


_DECLARATION = re.compile(r"redef|module|event|type|hook|@load")
_STATEMENTS = """
type Row: record { n: count &optional; };
event row(ctx: ZeekAgent::Context, columns: Row)
    {
    }
event ZeekAgent::agent_joined(hid: string, hello: ZeekAgentAPI::AgentHelloV1)
    {
    local q = ZeekAgent::Query($sql_stmt="SELECT 1", $event_=row);
    %s
    }
"""
