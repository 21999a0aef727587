"""What is remembered of a kernel, and when BPF is left alone."""

import json
import os

import pytest
from zeek_agent_linux._bpf import btf
from zeek_agent_linux._bpf.kernel import CACHE, Kernel, MissingError, kernel_of, refuse

from zeek_agent_core.host import Host


def test_answers_are_kept(tmp_path):
    """What one run learned the next one knows without the types; nobody else reads it."""
    first = Kernel(tmp_path)
    place = first.member("task_struct", "pid")
    assert not first.has("task_struct", "no_such_member")
    number = first.function("bpf_iter_task")
    first.save()
    status = (tmp_path / CACHE).stat()
    assert (status.st_mode & 0o777, status.st_uid) == (0o600, os.geteuid())
    second = Kernel(tmp_path, path="/nowhere")
    assert second.member("task_struct", "pid") == place
    assert not second.has("task_struct", "no_such_member")
    assert second.function("bpf_iter_task") == number
    assert [path.name for path in tmp_path.iterdir()] == [CACHE]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"kernel": 1}', b"\xff\xfe"])
def test_damaged_memory(tmp_path, content):
    """A file that makes no sense is as good as none."""
    (tmp_path / CACHE).write_bytes(content)
    assert Kernel(tmp_path).member("task_struct", "pid").size == 4


def test_memory_of_another_kernel(tmp_path):
    """What is true of another kernel is not believed of this one."""
    kept = {"kernel": "5.8.0 another", "known": {"task_struct.pid": [1, 2]}}
    (tmp_path / CACHE).write_text(json.dumps(kept))
    assert Kernel(tmp_path).member("task_struct", "pid").size == 4


def test_unwritable_directory(tmp_path):
    """Where nothing can be kept, all goes on."""
    kernel = Kernel(tmp_path / "none")
    kernel.member("task_struct", "pid")
    kernel.save()


def test_missing():
    """What a kernel does not have is told by its name."""
    kernel = Kernel()
    with pytest.raises(MissingError, match=r"no task_struct.no_such_member"):
        kernel.member("task_struct", "no_such_member")
    with pytest.raises(MissingError, match=r"no tracepoint no_such_thing"):
        kernel.tracepoint("no_such_thing")
    with pytest.raises(MissingError, match=r"no function no_such_thing"):
        kernel.function("no_such_thing")
    with pytest.raises(MissingError, match=r"no no_such_struct.member"):
        kernel.member("no_such_struct", "member")
    assert not kernel.has_tracepoint("no_such_thing")
    assert kernel.arguments("sched_process_exec") == 3


@pytest.mark.parametrize("content", [b"", b"\x9f\xeb" * 40])
def test_types_that_are_none(tmp_path, content):
    """A kernel whose types cannot be read is named as the reason."""
    path = tmp_path / "vmlinux"
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"cannot use .*vmlinux"):
        Kernel(path=str(path)).member("task_struct", "pid")


def test_without_types():
    """So is a kernel that has none."""
    with pytest.raises(OSError, match="does not describe its types"):
        Kernel(path="/nowhere").member("task_struct", "pid")


def test_refused(tmp_path, monkeypatch):
    """BPF is not used if turned off, on captured files, without types or on other machines."""
    refuse(Host())
    assert kernel_of(Host()) is kernel_of(Host())
    with pytest.raises(OSError, match="bpf = false"):
        refuse(Host(uses_bpf=False))
    with pytest.raises(OSError, match="not the running host"):
        refuse(Host(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(btf, "VMLINUX", "/nowhere")
        with pytest.raises(OSError, match=r"no /nowhere"):
            refuse(Host())
    monkeypatch.setattr("zeek_agent_linux._bpf.syscall.MACHINE", "s390x")
    with pytest.raises(OSError, match="not supported on s390x"):
        refuse(Host())
