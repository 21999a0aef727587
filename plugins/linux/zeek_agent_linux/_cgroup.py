"""Control group of a process, and the container that its path tells of.

Sources: cgroups(7); the names that Docker, Podman, containerd, CRI-O, LXC and
systemd-nspawn give to the groups of their containers.
"""

import re

_PATTERNS = (
    # docker-<id>.scope, libpod-<id>.scope, crio-<id>.scope, cri-containerd-<id>.scope, and the
    # bare <id> that the same programs use without systemd. conmon is their watcher outside.
    re.compile(r"(?!.*conmon)(?:[a-z][a-z-]*-)?([0-9a-f]{64})(?:\.scope)?\Z"),
    # A task of Amazon ECS.
    re.compile(r"([0-9a-f]{32}-[0-9]{5,})\Z"),
    # LXC and Incus; lxc.monitor.<name> is the watcher outside.
    re.compile(r"lxc\.payload\.(.+)\Z"),
    re.compile(r"systemd-nspawn@(.+)\.service\Z"),
    # Virtual machines are registered in the same way as containers, as qemu-<number>-<name>.
    re.compile(r"machine-(?!qemu)(.+)\.scope\Z"),
)
_LXC_PARENTS = {"lxc", "lxc.payload"}
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def parse_cgroup(text: str) -> tuple[str | None, str | None]:
    """Return the group's path and the container's ID from ``/proc/<pid>/cgroup``.

    The path is that of the unified hierarchy; where this says nothing, that of
    systemd's own hierarchy or of the first controller that does.
    """
    paths: dict[str, str] = {}
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        paths["" if number == "0" else controllers] = path
    if not paths:
        return None, None
    ranked = [paths.get("", "/"), paths.get("name=systemd", "/"), *paths.values()]
    group = next((path for path in ranked if path != "/"), "/")
    found = (container_of(path) for path in ranked)
    return group, next((container for container in found if container), None)


def container_of(path: str) -> str | None:
    """Return the ID or name of the innermost container that a group's *path* is in."""
    parts = path.split("/")
    for position in range(len(parts) - 1, 0, -1):
        if parts[position - 1] in _LXC_PARENTS:
            return parts[position] or None
        for pattern in _PATTERNS:
            found = pattern.match(parts[position])
            if found:
                return _ESCAPE.sub(lambda code: chr(int(code[1], 16)), found[1])
    return None
