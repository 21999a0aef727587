"""Fixtures of the tests of ``files_*``."""
# Names are put together as they are, some of them as bytes.
# ruff: noqa: PTH101, PTH103, PTH120, PTH123

import os

import pytest

from zeek_agent_core.files.columns import FilesColumns
from zeek_agent_core.files.hashes import FilesHash
from zeek_agent_core.files.lines import FilesLines
from zeek_agent_core.files.listing import FilesList
from zeek_agent_core.host import Host
from zeek_agent_core.sql.database import Database


class Files:
    """The tables on a host whose root is a directory."""

    def __init__(self, root, **limits):
        """Use *limits* as `[tables.files]`."""
        self.root = root
        self.host = Host(root, {"files": limits})
        kinds = (FilesList, FilesLines, FilesColumns, FilesHash)
        self.tables = {kind.name: kind(self.host) for kind in kinds}

    def write(self, path, content=b""):
        """Create a file and the directories it needs."""
        real = os.fsencode(self.root) + os.fsencode(path)
        os.makedirs(os.path.dirname(real), exist_ok=True)
        with open(real, "wb") as file:
            file.write(content)

    async def sql(self, statement):
        """Return the rows of one statement."""
        async with Database(self.tables.values()) as db:
            return (await db.execute(statement)).rows

    async def paths(self, pattern, condition="1"):
        """Return the paths that match."""
        quoted = pattern.replace("'", "''")
        rows = await self.sql(f"SELECT path FROM files_list('{quoted}') WHERE {condition}")
        return [path for (path,) in rows]

    def warnings(self, table):
        """Return how many warnings *table* has counted."""
        return self.tables[table].warnings


@pytest.fixture
def files(tmp_path):
    """Return the tables on an empty root."""
    return Files(tmp_path)


@pytest.fixture
def files_with(tmp_path):
    """Return a maker of tables with limits."""
    return lambda **limits: Files(tmp_path, **limits)


@pytest.fixture
def unprivileged(tmp_path):
    """Return what runs a function as another user, in a child process; its result is text."""

    def run(function):
        for directory in (tmp_path, *list(tmp_path.parents)[:-2]):
            os.chmod(directory, 0o755)  # pytest's own are closed to others
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                if os.getuid() == 0:
                    os.setgroups([])
                    os.setgid(65534)
                    os.setuid(65534)
                os.write(writer, repr(function()).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        with open(reader, "rb") as pipe:
            answer = pipe.read().decode()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        return answer

    return run
