"""`--check-policy` says what Zeek would get."""

import pytest

from zeek_agent_core.cli import main

POLICY = """
[policy]
deny_tables = "zeek_agent_columns"
mask = "zeek_agent.hostname"
max_rows = 1
"""


VERDICTS = {
    "SELECT hostname FROM zeek_agent": "allowed: 1 rows now; columns zeek_agent.hostname are NULL",
    "SELECT * FROM zeek_agent_columns": "refused: table zeek_agent_columns is not allowed",
    "SELECT name FROM zeek_agent_tables": "refused: the result has more than 1 rows",
    "SELEC": 'refused: near "SELEC"',
}


@pytest.mark.parametrize("sql", VERDICTS)
def test_verdicts(tmp_path, capsys, monkeypatch, sql):
    """A statement is judged as if Zeek had asked for it, with its reason or what is missing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = tmp_path / "agent.toml"
    path.write_text(f'state-dir = "{tmp_path}"\n{POLICY}')
    status = main(["-c", str(path), "--check-policy", sql])
    assert capsys.readouterr().out.startswith(VERDICTS[sql])
    assert status == VERDICTS[sql].startswith("refused")
