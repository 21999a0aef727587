"""Mounts as psutil tells of them."""

from types import SimpleNamespace

from zeek_agent_core.host import Host
from zeek_agent_core.portable.mounts import Mounts
from zeek_agent_core.testing.conformance import check_table


class Scripted:
    """What psutil says on macOS and Windows."""

    def disk_partitions(self, all):  # noqa: A002 - psutil's name
        """Return three mounts."""
        assert all
        entry = SimpleNamespace
        return [
            entry(
                device="/dev/disk3s1s1",
                mountpoint="/",
                fstype="apfs",
                opts="ro,local,rootfs,sealed",
            ),
            entry(device="C:\\", mountpoint="C:\\", fstype="NTFS", opts="rw,fixed"),
            entry(device="D:\\", mountpoint="D:\\", fstype="", opts="cdrom"),
        ]


def test_conforms():
    """The table keeps the rules that all tables keep."""
    check_table(Mounts(Host(), Scripted()))


def test_rows(sql):
    """Read-only shows; an empty drive has no type."""
    rows = sql("SELECT path, type, is_read_only, options FROM mounts", Mounts(Host(), Scripted()))
    assert rows[0][:3] == ("/", "apfs", 1)
    assert '"sealed"' in rows[0][3]
    assert rows[1][:3] == ("C:\\", "NTFS", 0)
    assert rows[2][1] is None


def test_live():
    """On this host the root is mounted."""
    check_table(Mounts(Host()))
