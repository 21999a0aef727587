"""Attribution after `conn.log` was written, and what scripts see of attribution."""

import pytest

from tests.zeek.attribution.test_matching import CLIENT, SERVER, event, listens, opened, pids


def test_a_late_word(offline):
    """A socket that comes after the connection was logged is in the attribution log."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    event(feed, 15.0, "A", "established", (CLIENT, 4000), (SERVER, 80), pid=7, uid=3, time_=8)
    offline.trace.tcp(8, (CLIENT, 4000), (SERVER, 80))
    offline.trace.tcp(9, (CLIENT, 4001), (SERVER, 80))
    offline.run("""
event ZeekAgent::Attribution::attributed_late(c: connection,
    side: ZeekAgent::Attribution::Side)
    { print c$id$orig_p, side$is_orig, side$found[0]$pid; }
event zeek_done() { print ZeekAgent::Attribution::stats()$attributed_late; }
""")
    connection = offline.connection(4000)
    assert "orig_pids" not in connection
    (row,) = offline.late(connection["uid"])
    assert (row["pid"], row["uid_"], row["is_orig"], row["confidence"]) == (7, 3, True, 1)
    assert not offline.late(offline.connection(4001)["uid"])
    assert offline.output.splitlines() == ["4000/tcp, T, 7", "1"]


@pytest.mark.parametrize(("told", "found"), [(18, True), (27, True), (33, False)])
def test_a_very_late_word(offline, told, found):
    """A connection is looked up again three times; after that nothing is awaited."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    event(feed, told, "A", "established", (CLIENT, 4000), (SERVER, 80), pid=7, time_=8)
    offline.trace.tcp(8, (CLIENT, 4000), (SERVER, 80))
    offline.run()
    assert len(offline.late(offline.connection(4000)["uid"])) == found


def test_conn_log_may_wait(offline):
    """With `hold-conn-log` the line waits for the second look, and has what comes late."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    event(feed, 15.0, "A", "established", (CLIENT, 4000), (SERVER, 80), pid=7, uid=3, time_=8)
    offline.trace.tcp(8, (CLIENT, 4000), (SERVER, 80))
    offline.trace.tcp(9, (CLIENT, 4001), (SERVER, 80))
    offline.run("@load zeek-agent/attribution/hold-conn-log")
    assert offline.connection(4000)["orig_pids"] == [7]
    assert pids(offline.connection(4001), "orig") == []
    (row,) = offline.log("zeek-agent-attribution")
    assert (row["pid"], row["late"]) == (7, False)


def test_too_many_wait(offline):
    """Connections that wait for a second look are bounded, and those left out are counted."""
    offline.feed.hello(1, "A", "alpha", CLIENT)
    for port in range(4000, 4010):
        offline.trace.tcp(10, (CLIENT, port), (SERVER, 80), end="rst")
    offline.run(
        """
redef ZeekAgent::Attribution::max_waiting = 4;
event zeek_done() { print ZeekAgent::Attribution::stats()$dropped_waiting; }
""",
        warns=True,
    )
    assert offline.output.strip() == "6"
    assert "max_waiting" in offline.warnings[0]


def test_hook_and_event(offline):
    """A hook may extend what was found or forbid it; an event tells of it."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    for port, pid in ((4000, 7), (4001, 8)):
        opened(feed, 9, "A", (CLIENT, port), (SERVER, 80), pid=pid)
        offline.trace.tcp(9, (CLIENT, port), (SERVER, 80), lasts=2)
    offline.run("""
module Test;
hook ZeekAgent::Attribution::attributing(c: connection, orig: ZeekAgent::Attribution::Side,
    resp: ZeekAgent::Attribution::Side) {
    if ( c$id$orig_p == 4001/tcp ) break;
    orig$found[0]$user = "someone";
}
event ZeekAgent::Attribution::attributed(c: connection, orig: ZeekAgent::Attribution::Side,
    resp: ZeekAgent::Attribution::Side) { print orig$found[0]$pid, |resp$found|; }
""")
    assert offline.connection(4000)["orig_users"] == ["someone"]
    assert pids(offline.connection(4001), "orig") == []
    assert offline.output.strip() == "7, 0"


def test_lookup_while_it_lasts(offline):
    """A script may ask who is behind a connection before it ends."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    opened(feed, 9, "A", (CLIENT, 4000), (SERVER, 80), pid=7)
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80), lasts=5)
    offline.run("""
event connection_established(c: connection) {
    local r = ZeekAgent::Attribution::lookup(c);
    print r$orig$found[0]$pid, r$orig$found[0]$host, |r$resp$hosts|;
    print ZeekAgent::Attribution::hosts_by_addr(10.1.0.5);
    for ( _, s in ZeekAgent::Attribution::sockets_of("A") )
        print s$local_h, s$local_p, s$remote_h, s$remote_p, s$entry$pid;
}
""")
    assert offline.output.splitlines() == [
        "7, alpha, 0", "{", "A", "}", "10.1.0.5, 4000/tcp, 10.1.0.9, 80/tcp, 7",
    ]  # fmt: skip


LINE = (("systemd", 1, 0), ("sshd", 10, 1), ("bash", 11, 10), ("curl", 12, 11))


def test_lineage(offline):
    """The ancestors of a process are known back to the first one, and are logged if wanted."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    for name, pid, ppid in LINE:
        feed.row("processes", 2, "A", pid=pid, ppid=ppid, name=name, startup=pid - 100)
    opened(feed, 9, "A", (CLIENT, 4000), (SERVER, 80), pid=12)
    offline.trace.tcp(9, (CLIENT, 4000), (SERVER, 80), lasts=2)
    offline.run("""
redef ZeekAgent::Attribution::log_lineage = T;
event zeek_done() {
    for ( _, p in ZeekAgent::Attribution::parents("A", 12) ) print p$pid, p$name;
}
""")
    (row,) = offline.log("zeek-agent-attribution")
    assert row["lineage"] == "systemd > sshd > bash > curl"
    assert offline.output.splitlines() == ["11, bash", "10, sshd", "1, systemd"]


def test_lineage_in_a_circle(offline):
    """Process IDs used again may point to each other; that ends."""
    offline.feed.hello(1, "A", "alpha", CLIENT)
    for pid, ppid in ((5, 6), (6, 5)):
        offline.feed.row("processes", 2, "A", pid=pid, ppid=ppid, name=f"p{pid}", startup=0)
    offline.run("""
event zeek_done() { print |ZeekAgent::Attribution::parents("A", 5)|; }
""")
    assert int(offline.output) <= 64


@pytest.mark.parametrize("wanted", [True, False])
def test_columns_can_be_switched(offline, wanted):
    """Columns that are not wanted are no fields of `conn.log`; without attribution none is."""
    listens(offline.feed, 2, "B", "0.0.0.0", 80, pid=70)
    offline.feed.hello(1, "B", "beta", SERVER)
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80))
    switch = (
        'redef ZeekAgent::Attribution::columns = set("pids");'
        if wanted
        else "redef ZeekAgent::Attribution::enabled = F;"
    )
    offline.run(f"redef LogAscii::use_json = F;\n{switch}")
    lines = (offline.home / "conn.log").read_text().splitlines()
    (fields,) = [line.split("\t")[1:] for line in lines if line.startswith("#fields")]
    ours = [name for name in fields if name.split("_")[-1] in ("pids", "seuids", "users", "agents")]
    assert ours == (["orig_pids", "resp_pids"] if wanted else [])


def test_bounds(offline):
    """Sockets and processes of a host are bounded: the oldest give way, and are counted."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    for number in range(50):
        event(feed, 2 + number / 10, "A", "established", (CLIENT, 5000 + number), (SERVER, 80),
              pid=number + 1)  # fmt: skip
        feed.row("processes_events", 2 + number / 10, "A", time_=2 + number / 10, pid=number + 1,
                 state="started", name="x", ppid=1)  # fmt: skip
    offline.run(
        """
redef ZeekAgent::Attribution::max_sockets = 20;
redef ZeekAgent::Attribution::max_processes = 20;
event zeek_done() {
    local s = ZeekAgent::Attribution::stats();
    print s$sockets <= 20, s$processes <= 20, s$sockets + s$dropped_sockets,
        s$processes + s$dropped_processes;
    print |ZeekAgent::Attribution::process("A", 50)$name| > 0;
}
""",
        warns=True,
    )
    assert offline.output.splitlines() == ["T, T, 50, 50", "T"]
    assert len(offline.warnings) == 2


def test_bounds_spare_what_is_young(offline):
    """Where a host has too many sockets, those that just closed wait for their attribution."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    for number in range(40):
        local, at = (CLIENT, 5000 + number), 2 + number / 5
        event(feed, at, "A", "established", local, (SERVER, 80), pid=number + 1)
        event(feed, at + 0.1, "A", "closed", local, (SERVER, 80), pid=number + 1)
        offline.trace.tcp(at, local, (SERVER, 80), lasts=0.1)
    offline.run("redef ZeekAgent::Attribution::max_sockets = 30;", warns=True)
    found = [row for row in offline.log("conn") if "orig_pids" in row]
    assert len(found) >= 20
    assert pids(offline.connection(5039), "orig") == [40]
