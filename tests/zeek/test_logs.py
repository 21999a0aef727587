"""Each log of the package gets a line when the thing happens on the host."""

import os
import shutil
import signal
import socket
import subprocess

import pytest

from tests.zeek.conftest import OURS, Agent, RealZeek, wait_for

QUICK = "".join(
    f"redef ZeekAgent_{module}::query_interval = 1sec;\n"
    for module in (
        "Files", "Interfaces", "ListeningPorts", "Mounts", "Processes", "ProcessesEvents",
        "Services", "Sockets", "SocketsEvents", "SSH", "SystemLogs", "Users",
    )
)  # fmt: skip
PATHS = """
redef ZeekAgent_Files::paths_to_watch = set("HOME/watched/*");
redef ZeekAgent_SSH::config_paths_to_watch = set("HOME/sshd_config");
redef ZeekAgent_SSH::key_paths_to_watch = table(["linux"] = set("HOME/*/authorized_keys"));
redef ZeekAgent_Interfaces::subscription = ZeekAgent::SnapshotPlusDifferences;
"""
SETTINGS = """
[tables.system_logs_events]
source = "syslog"
files = ["HOME/syslog"]
"""
IN_OWN_USERS = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"']


class Scene:
    """A Zeek with all logs, an agent, and a directory for what happens."""

    def __init__(self, zeek, agent, home):
        self.zeek, self.agent, self.home = zeek, agent, home

    def line(self, log, **wanted):
        """Return the first line of a log that has the *wanted* values, once there is one."""

        def found():
            rows = self.zeek.log(f"zeek-agent-{log}")
            return next((row for row in rows if wanted.items() <= row.items()), None)

        row = wait_for(found, f"no line {wanted} in {log}", self.zeek, self.agent)
        assert row["hid"].startswith("H")
        assert row["host"] == socket.gethostname()
        return row


@pytest.fixture
def scene(start, tmp_path):
    """Return the scene once the agent runs all queries."""
    for name in ("zeek", "watched", "user"):
        (tmp_path / name).mkdir()
    for name in ("sshd_config", "user/authorized_keys", "syslog"):
        (tmp_path / name).write_text("")
    shutil.copy("/etc/passwd", tmp_path / "passwd")
    paths = PATHS.replace("HOME", str(tmp_path))
    zeek = start(RealZeek, "zeek", OURS + QUICK + paths)
    before = [*IN_OWN_USERS, str(tmp_path / "passwd")]
    settings = zeek.tls + SETTINGS.replace("HOME", str(tmp_path))
    agent = start(Agent, "agent", zeek, settings, before=before)
    wait_for(lambda: zeek.log("zeek-agent-interfaces"), "nothing comes", zeek, agent)
    # Only what changes after the first run of a query is told, so there is always something new.
    made = set()

    def is_watched():
        with subprocess.Popen(["sleep", "1"]) as marker:
            made.add(str(marker.pid))
        return any(row["pid"] in made for row in zeek.log("zeek-agent-processes"))

    wait_for(is_watched, "processes are not watched", zeek, agent)
    yield Scene(zeek, agent, tmp_path)
    bad = [row for row in zeek.log("reporter") if row["level"] != "Reporter::INFO"]
    assert bad == []
    assert zeek.log("zeek-agent-errors") == []


def test_things_that_happen(scene):
    """A file, an option, a key, a user, a mount, a message, a process, a port: each is logged."""
    (scene.home / "watched/new").write_text("x")
    (scene.home / "sshd_config").write_text("PermitRootLogin yes\n")
    (scene.home / "user/authorized_keys").write_text("ssh-ed25519 AAAA eve\n")
    with (scene.home / "passwd").open("a") as users:
        users.write("eve:x:4242:4242:Eve:/home/eve:/bin/sh\n")
    with (scene.home / "syslog").open("a") as messages:
        messages.write("Nov 27 12:00:00 host su[7]: session opened\n")
    process = subprocess.Popen(["sleep", "60"])
    listening = socket.create_server(("127.0.0.1", 0))
    port = str(listening.getsockname()[1])
    me = str(os.getpid())
    try:
        row = scene.line("files", path=str(scene.home / "watched/new"), change="new")
        assert (row["type_"], row["size"]) == ("file", "1")
        row = scene.line("ssh-configs", change="new")
        assert row["columns.option_.key"] == "PermitRootLogin"
        assert row["columns.option_.value"] == "yes"
        row = scene.line("ssh-authorized-keys", change="new")
        assert row["content"] == "ssh-ed25519 AAAA eve"
        row = scene.line("users", name="eve", change="new")
        assert (row["uid"], row["is_admin"], row["shell"]) == ("4242", "F", "/bin/sh")
        row = scene.line("system-logs", message="session opened")
        assert "change" not in row
        row = scene.line("processes", pid=str(process.pid), change="new")
        assert (row["name"], row["ppid"]) == ("sleep", me)
        row = scene.line("processes-events", pid=str(process.pid), state="started")
        assert row["exe"].endswith("sleep")
        row = scene.line("sockets", local_port=port, change="new")
        assert (row["pid"], row["state"], row["local_addr"]) == (me, "LISTEN", "127.0.0.1")
        row = scene.line("sockets-events", local_port=port, state="listen")
        assert row["pid"] == me
        row = scene.line("listening-ports", local_port=port, change="new")
        assert (row["pid"], row["uid"], row["user"]) == (me, "0", "root")
    finally:
        process.kill()
        process.wait()
        listening.close()
    scene.line("processes-events", pid=str(process.pid), state="stopped")
    scene.line("sockets-events", local_port=port, state="closed")
    scene.line("listening-ports", local_port=port, change="gone")


def test_mounts_and_interfaces(scene):
    """A mount is logged when it comes and when it goes; interfaces have their addresses."""
    row = scene.line("interfaces", name="lo")
    assert "127.0.0.1" in row["addresses"]
    assert (row["is_loopback"], row["change"]) == ("T", "-")
    # The agent has mounts of its own, so that it is done where it is.
    inside = ["nsenter", "-t", str(scene.agent.process.pid), "-m"]
    place = scene.home / "mounted"
    place.mkdir()
    subprocess.run([*inside, "mount", "-t", "tmpfs", "-o", "ro", "test", place], check=True)
    row = scene.line("mounts", path=str(place), change="new")
    assert (row["type_"], row["is_read_only"], row["device"]) == ("tmpfs", "T", "test")
    subprocess.run([*inside, "umount", place], check=True)
    scene.line("mounts", path=str(place), change="gone")


def test_logs_can_be_switched_off(start, tmp_path):
    """A table that is switched off is not asked for, and has no log."""
    (tmp_path / "zeek").mkdir()
    settings = """
redef ZeekAgent_Processes::enabled = F;
redef ZeekAgent_Users::subscription = ZeekAgent::Snapshots;
hook ZeekAgent_Users::log_policy(rec: any, id: Log::ID, filter: Log::Filter)
    { if ( (rec as ZeekAgent_Users::Info)$columns$name != "root" ) break; }
"""
    zeek = start(RealZeek, "zeek", OURS + QUICK + settings)
    agent = start(Agent, "agent", zeek)
    wait_for(lambda: len(zeek.log("zeek-agent-users")) > 1, "no users", zeek, agent)
    assert {row["name"] for row in zeek.log("zeek-agent-users")} == {"root"}
    assert zeek.log("zeek-agent-processes") == []


def test_an_error_is_logged(start, tmp_path):
    """A statement that the agent cannot run leads to a line with statement and reason."""
    (tmp_path / "zeek").mkdir()
    script = """
@load zeek-agent/framework
event nothing(ctx: ZeekAgent::Context, columns: ZeekAgent::Targets) { }
event zeek_init() { ZeekAgent::query([$sql_stmt="SELECT foo FROM bar", $event_=nothing]); }
"""
    zeek = start(RealZeek, "zeek", script)
    agent = start(Agent, "agent", zeek)
    rows = wait_for(lambda: zeek.log("zeek-agent-errors"), "no error", zeek, agent)
    assert rows[0]["sql"] == "SELECT foo FROM bar"
    assert "no such table: bar" in rows[0]["message"]
    agent.stop(signal.SIGKILL)


ONE_SHOT = """
@load zeek-agent/framework
type Name: record { name: string; uid: string; };
event ZeekAgent::agent_joined(hid: string, hello: ZeekAgentAPI::AgentHelloV1)
    {
    when [hid] ( local a = ZeekAgent::execute("SELECT name, uid FROM users WHERE uid = '0'", hid) )
        {
        print fmt("%s %d %s", a$ok, |a$rows|, a$rows[0] as Name); flush_all();
        }
    when [hid] ( local b = ZeekAgent::execute("SELECT name FROM users WHERE uid = 'x';", hid) )
        {
        print fmt("%s %d none", b$ok, |b$rows|); flush_all();
        }
    when [hid] ( local c = ZeekAgent::execute("SELECT nonsense", hid) )
        {
        print fmt("%s %s", c$ok, c$error); flush_all();
        }
    }
"""


def test_one_shot_queries(start, tmp_path):
    """Rows, no rows and an error come back to the `when` that asked."""
    (tmp_path / "zeek").mkdir()
    zeek = start(RealZeek, "zeek", ONE_SHOT)
    agent = start(Agent, "agent", zeek)
    for text in ("T 1 [name=root, uid=0]", "T 0 none", "F could not compile query"):
        wait_for(lambda text=text: text in zeek.output, f"no {text}", zeek, agent)


OLD = """
@load zeek-agent/first-generation
event user(result: ZeekAgent::Result, name: string, uid: int, email: string)
    { print fmt("%s %s %d [%s]", result$utype, name, uid, email); flush_all(); }
event zeek_init()
    {
    ZeekAgent::subscribe(ZeekAgent::Query($ev=user, $inter=1sec,
        $query="SELECT name, CAST(uid AS INTEGER), email FROM users WHERE uid = '0'"));
    }
"""


def test_script_of_the_first_generation(start, tmp_path):
    """A script of the first generation gets its rows from an agent of today."""
    (tmp_path / "zeek").mkdir()
    zeek = start(RealZeek, "zeek", OLD)
    agent = start(Agent, "agent", zeek)
    text = "ZeekAgent::INITIAL root 0 []"
    wait_for(lambda: text in zeek.output, "no row", zeek, agent)
