"""Control groups and the containers they tell of."""

import pytest
from zeek_agent_linux._cgroup import container_of, parse_cgroup

ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("path", "container"),
    [
        (f"/docker/{ID}", ID),
        (f"/system.slice/docker-{ID}.scope", ID),
        (f"/machine.slice/libpod-{ID}.scope/container", ID),
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope", ID),
        (f"/machine.slice/libpod-conmon-{ID}.scope", None),
        (f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope", ID),
        (f"/kubepods/burstable/pod0b3e0d1c-1111-2222-3333-444444444444/{ID}", ID),
        (f"/kubepods.slice/crio-{ID}.scope", ID),
        (f"/kubepods.slice/crio-conmon-{ID}.scope", None),
        (f"/docker/{'f' * 64}/kubelet/kubepods/pod1/{ID}", ID),
        ("/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-3012345678",
         "0123456789abcdef0123456789abcdef-3012345678"),
        ("/lxc/web/system.slice/cron.service", "web"),
        ("/lxc.payload.web/init.scope", "web"),
        ("/lxc.payload/web", "web"),
        ("/lxc.monitor.web", None),
        (r"/machine.slice/machine-my\x2dbox.scope/payload", "my-box"),
        (r"/machine.slice/machine-qemu\x2d1\x2dvm.scope", None),
        ("/machine.slice/systemd-nspawn@deb.service/payload", "deb"),
        ("/user.slice/user-0.slice/session-1.scope", None),
        ("/", None),
        ("", None),
    ],
)  # fmt: skip
def test_container_is_found_by_the_names_of_its_runtime(path, container):
    """Each runtime's names are known, those of watchers and machines are told apart."""
    assert container_of(path) == container


def test_unified_hierarchy_comes_first():
    """The path is that of cgroup v2 if it says anything."""
    assert parse_cgroup("1:name=systemd:/a\n0::/b\n") == ("/b", None)
    assert parse_cgroup("4:memory:/m\n1:name=systemd:/a\n0::/\n") == ("/a", None)
    assert parse_cgroup("4:memory:/m:n\n1:name=systemd:/\n") == ("/m:n", None)
    assert parse_cgroup("0::/\n") == ("/", None)


def test_container_is_looked_for_in_every_hierarchy():
    """On cgroup v1 any controller may tell of the container."""
    text = f"2:cpu:/docker/{ID}\n1:name=systemd:/a\n0::/\n"
    assert parse_cgroup(text) == ("/a", ID)


def test_no_group_is_unknown():
    """A kernel without control groups gives NULL."""
    assert parse_cgroup("") == (None, None)
