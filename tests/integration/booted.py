"""A systemd that boots for a test: in namespaces of its own, on an overlay of this system."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

UNITS_LEFT_OUT = (
    "systemd-sysctl", "systemd-modules-load", "systemd-binfmt", "systemd-remount-fs",
    "systemd-tmpfiles-setup-dev", "systemd-update-utmp", "systemd-random-seed", "systemd-udevd",
    "systemd-udev-trigger", "kmod-static-nodes", "systemd-logind", "systemd-timesyncd", "getty@",
    "systemd-network-generator", "auditd",
)  # fmt: skip
"""Services that would change the kernel's state, which namespaces do not part."""
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")

INIT = """
set -e
mount -t tmpfs none {base}
mkdir {base}/upper {base}/work {root}
mount -t overlay -o lowerdir=/,upperdir={base}/upper,workdir={base}/work none {root}
mount --rbind {keep} {root}{keep}
mount -t proc none {root}/proc
mount -t sysfs none {root}/sys
mount -t cgroup2 none {root}/sys/fs/cgroup
mount -t tracefs none {root}/sys/kernel/tracing || true
mount -t tmpfs none {root}/run
mount --rbind /dev {root}/dev
mkdir -p {root}/run/systemd/system {root}/run/systemd/journald.conf.d
printf '[Journal]\\nStorage=volatile\\nAudit=\\nReadKMsg=no\\n' \
    > {root}/run/systemd/journald.conf.d/test.conf
for unit in {masked}; do ln -s /dev/null {root}/run/systemd/system/$unit; done
cd {root}
mkdir -p mnt/old
pivot_root . mnt/old
umount -l mnt/old
export container=test
exec /lib/systemd/systemd --unit=multi-user.target --show-status=no
"""


class Booted:
    """A system that runs under systemd; use as context."""

    def __init__(self, base: Path, keep: Path) -> None:
        """Boot below the empty directory *base*; the directory *keep* is the host's own."""
        masked = " ".join(f"{unit}.service" for unit in UNITS_LEFT_OUT)
        self._script = INIT.format(base=base, root=base / "root", keep=keep, masked=masked)
        top = next(
            Path(path) for path in reversed(CGROUPS) if (Path(path) / "cgroup.procs").exists()
        )
        self._cgroup = top / f"zeek-agent-test-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0
        """Process 1 of the system, as seen from outside."""

    def __enter__(self) -> Self:
        """Boot, until the system says it is up."""
        self._cgroup.mkdir()
        try:
            self._boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _boot(self) -> None:
        spaces = "--mount --pid --cgroup --uts --ipc --fork --propagation private"
        # Nothing outlives the test, even one that is killed.
        unshare = f"setpriv --pdeathsig KILL unshare --kill-child {spaces}"
        into = f'echo $$ > {self._cgroup}/cgroup.procs; exec {unshare} sh -c "$1"'
        self._process = subprocess.Popen(
            ["sh", "-c", into, "sh", self._script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        until = time.monotonic() + 60
        while time.monotonic() < until:
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
            found = children.read_text().split() if self._process.poll() is None else []
            if self._process.poll() is not None:
                raise AssertionError(f"cannot boot: {self._process.stdout.read().decode()}")
            if found and self._is_up(int(found[0])):
                return
            time.sleep(0.2)
        raise AssertionError("systemd did not boot")

    def _is_up(self, pid: int) -> bool:
        self.pid = pid
        state = self.run("systemctl", "is-system-running", check=False)
        return state.stdout.strip() in {"running", "degraded"}

    def run(
        self, *words: object, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside."""
        inside = ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-C", "--"]
        return subprocess.run(
            [*inside, *map(str, words)], capture_output=True, text=True, check=check,
            timeout=timeout, stdin=subprocess.DEVNULL, errors="replace",
        )  # fmt: skip

    def __exit__(self, *_: object) -> None:
        """End everything inside; nothing stays."""
        if self.pid:
            with_children = self.pid
            os.kill(with_children, signal.SIGKILL)  # the kernel ends all others
        if self._process is not None:
            if not self.pid:
                self._process.kill()
            self._process.wait(20)
            self._process.stdout.close()
        for _ in range(50):
            folders = sorted(self._cgroup.rglob("*/"), reverse=True)
            try:
                for folder in [*folders, self._cgroup]:
                    folder.rmdir()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"{self._cgroup} stays behind")


def is_possible() -> bool:
    """Return whether a systemd can be booted here."""
    return os.geteuid() == 0 and shutil.which("systemctl") is not None
