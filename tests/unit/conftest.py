"""What tests of plugins share."""

import sys

import pytest


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a distribution with one plugin."""
    monkeypatch.syspath_prepend(tmp_path)
    made = set()

    def run(distribution, module, source, plugin=None):
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        with (info / "entry_points.txt").open("a") as points:
            points.write(f"[zeek_agent]\n{plugin or module} = {module}\n")
        made.add(module)

    yield run
    for module in made:
        sys.modules.pop(module, None)
