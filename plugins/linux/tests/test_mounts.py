"""Tests of ``mounts``."""

from hypothesis import given
from hypothesis import strategies as st
from zeek_agent_linux import mounts

from zeek_agent_core.host import Host
from zeek_agent_core.sql.database import Database

LINES = rb"""22 27 0:21 / /proc rw,nosuid - proc proc rw
40 27 8:1 /sub\040dir /mnt/a\040b\134c ro,relatime shared:1 master:2 - ext4 /dev/sda1 rw,discard
41 27 0:40 / /mnt/\377 rw - tmpfs none rw,size=4k
garbage
"""


async def query(host, sql):
    """Return the rows of one statement."""
    async with Database([mounts.Mounts(host)]) as db:
        return (await db.execute(sql)).rows


async def test_mountinfo_is_read(tmp_path):
    """Optional fields, escapes and read-only mounts of writable systems are understood."""
    source = tmp_path / mounts.SOURCE.lstrip("/")
    source.parent.mkdir(parents=True)
    source.write_bytes(LINES)
    rows = await query(Host(tmp_path), "SELECT * FROM mounts")
    assert rows == [
        ("proc", "/proc", "proc", '{"elem":"text","value":["nosuid","rw"]}', 0, "/"),
        (
            "/dev/sda1",
            "/mnt/a b\\c",
            "ext4",
            '{"elem":"text","value":["discard","relatime","ro"]}',
            1,
            "/sub dir",
        ),
        ("none", "/mnt/\\xff", "tmpfs", '{"elem":"text","value":["rw","size=4k"]}', 0, "/"),
    ]


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs",)), max_size=30))
def test_unescape_undoes_the_kernel(path):
    """Unescaping gives back what the kernel escaped."""
    escaped = b"".join(
        b"\\%03o" % byte if byte in b" \t\n\\#" else bytes((byte,)) for byte in path.encode()
    )
    assert mounts.unescape(escaped) == path


async def test_live():
    """The root file system of this host is mounted."""
    (host,) = [table.host for table in mounts.zeek_agent_tables(Host())]
    assert (await query(host, "SELECT count(*) > 0 FROM mounts WHERE path = '/'")) == [(1,)]


def test_offered_where_there_is_a_source(tmp_path):
    """Without the kernel's table there is none of ours."""
    assert mounts.zeek_agent_tables(Host(tmp_path)) == []
