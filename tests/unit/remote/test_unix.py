"""Who may open a console socket, and who may connect."""

import asyncio
import os
import socket
import stat

import pytest

from zeek_agent_core.errors import RemoteError
from zeek_agent_core.remote import unix

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


@pytest.fixture
def path(tmp_path):
    """Return where a socket may be."""
    return tmp_path / "agent.sock"


def stale(path):
    """Leave a socket behind that nobody listens at."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(os.fspath(path))


async def connected(path):
    """Connect to *path*, and give both ends the time to close."""
    (await unix.connect(path, asyncio.Protocol)).abort()
    await asyncio.sleep(0.05)


async def test_the_socket_is_ours_alone_and_goes_in_the_end(path):
    """The socket has mode 0600 while it is open, and is removed afterwards."""
    async with unix.listening(path, asyncio.Protocol):
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert not path.exists()


async def test_the_directory_is_made_for_us_alone(tmp_path):
    """A directory that is missing is made, open to nobody else."""
    path = tmp_path / "run" / "agent.sock"
    async with unix.listening(path, asyncio.Protocol):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_live_socket_is_not_taken(path):
    """A second agent is told of the first one, whose socket stays as it is."""
    async with unix.listening(path, asyncio.Protocol):
        before = unix.identity(path)
        with pytest.raises(RemoteError, match=f"another agent answers at {path}"):
            async with unix.listening(path, asyncio.Protocol):
                pass
        await asyncio.sleep(0.05)
        assert unix.identity(path) == before


async def test_a_live_socket_with_a_full_queue_is_not_taken(path, monkeypatch):
    """An agent that does not accept at the moment is alive nevertheless."""
    monkeypatch.setattr(unix, "PROBE_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as busy:
        busy.bind(os.fspath(path))
        busy.listen(0)
        waiting = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(3)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(os.fspath(path))
        with pytest.raises(RemoteError, match="another agent answers"):
            unix.claim(path)
        for one in waiting:
            one.close()


async def test_a_stale_socket_is_replaced(path):
    """What an agent left behind that was killed does not keep the next one from opening."""
    stale(path)
    async with unix.listening(path, asyncio.Protocol):
        await connected(path)


async def test_a_socket_of_somebody_else_is_left_alone(path):
    """At the end only our own socket is removed, not one that took its place."""
    async with unix.listening(path, asyncio.Protocol):
        path.rename(path.with_suffix(".old"))
        stale(path)
    assert path.exists()


async def test_the_end_does_not_mind_a_missing_socket(path):
    """A socket that somebody has removed already is no trouble."""
    async with unix.listening(path, asyncio.Protocol):
        path.unlink()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
async def test_a_directory_that_others_write_to_is_refused(tmp_path, path, mode):
    """Neither end uses a directory in which others could replace the socket."""
    tmp_path.chmod(mode)
    with pytest.raises(RemoteError, match="can be written by others"):
        unix.claim(path)
    with pytest.raises(RemoteError, match="can be written by others"):
        await unix.connect(path, asyncio.Protocol)


async def test_a_sticky_directory_will_do(tmp_path, path):
    """In a directory such as /tmp nobody can replace what is ours."""
    tmp_path.chmod(0o1777)
    async with unix.listening(path, asyncio.Protocol):
        await connected(path)


@as_root
async def test_a_directory_of_another_user_is_refused(tmp_path, path):
    """Neither end trusts a directory that belongs to somebody else."""
    os.chown(tmp_path, NOBODY, NOBODY)
    with pytest.raises(RemoteError, match="belongs to another user"):
        unix.claim(path)
    with pytest.raises(RemoteError, match="belongs to another user"):
        await unix.connect(path, asyncio.Protocol)


@as_root
async def test_a_socket_of_another_user_is_refused(path):
    """Neither end touches a socket that belongs to somebody else."""
    stale(path)
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(RemoteError, match="belongs to another user"):
        unix.claim(path)
    with pytest.raises(RemoteError, match="belongs to another user"):
        await unix.connect(path, asyncio.Protocol)


async def test_a_socket_that_is_open_to_others_is_refused(path):
    """A console does not use a socket that anybody may write to."""
    async with unix.listening(path, asyncio.Protocol):
        path.chmod(0o666)
        with pytest.raises(RemoteError, match="is open to other users"):
            await unix.connect(path, asyncio.Protocol)


async def test_what_is_no_socket_stays(path):
    """A file in the way is neither removed nor connected to."""
    path.write_text("precious")
    with pytest.raises(RemoteError, match="it is not a socket"):
        unix.claim(path)
    with pytest.raises(RemoteError, match="is not a socket"):
        await unix.connect(path, asyncio.Protocol)
    assert path.read_text() == "precious"


async def test_a_link_is_not_followed(tmp_path, path):
    """A symbolic link to a socket is no socket."""
    other = tmp_path / "other.sock"
    stale(other)
    path.symlink_to(other)
    with pytest.raises(RemoteError, match="it is not a socket"):
        unix.claim(path)


async def test_without_an_agent_the_message_says_so(path):
    """A missing and a stale socket are told apart."""
    with pytest.raises(RemoteError, match=r"no agent answers at .*: there is no such file"):
        await unix.connect(path, asyncio.Protocol)
    stale(path)
    path.chmod(0o600)
    with pytest.raises(RemoteError, match=r"no agent answers at .*: it has ended without"):
        await unix.connect(path, asyncio.Protocol)


async def test_a_path_too_long_is_an_error_of_ours(tmp_path):
    """A path that no socket can have is told as such."""
    with pytest.raises(RemoteError, match=r"cannot open .*too long"):
        async with unix.listening(tmp_path / ("x" * 200), asyncio.Protocol):
            pass


async def test_two_that_open_at_once_do_not_take_turns_at_the_same_file(tmp_path, path):
    """While one agent looks for a stale socket, no other does."""
    with (
        unix._alone_in(tmp_path),
        pytest.raises(RemoteError, match="another agent is opening"),
    ):
        unix.claim(path)


async def test_the_user_at_the_other_end_is_known():
    """The kernel tells whose process is connected."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert unix.peer_user(ours) == os.geteuid()
