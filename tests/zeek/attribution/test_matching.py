"""Which sockets of which hosts match a connection, and what `conn.log` says then."""

import pytest

CLIENT, SERVER = "10.1.0.5", "10.1.0.9"
CLIENT6, SERVER6 = "2001:db8::5", "2001:db8::9"
COLUMNS = ("agents", "hostnames", "pids", "processes", "exes", "uids", "users", "ppids", "parents")


def opened(feed, at, hid, local, remote, *, pid, process="curl", protocol=6, **more):
    """Have the snapshot of a host show a connection."""
    feed.row(
        "sockets", at, hid, pid=pid, process=process, protocol=protocol,
        local_addr=local[0], local_port=local[1], remote_addr=remote[0], remote_port=remote[1],
        **more,
    )  # fmt: skip


def listens(feed, at, hid, address, port, *, pid, process="nginx", protocol=6, **more):
    """Have the snapshot of a host show a socket that listens."""
    nowhere = "::" if ":" in address else "0.0.0.0"
    opened(feed, at, hid, (address, port), (nowhere, 0), pid=pid, process=process,
           protocol=protocol, **more)  # fmt: skip


def event(  # noqa: PLR0917
    feed, at, hid, state, local, remote, *, pid, process="curl", protocol=6, **more
):
    """Have a host tell what happened to a socket."""
    feed.row(
        "sockets_events", at, hid, state=state, pid=pid, process=process, protocol=protocol,
        local_addr=local[0], local_port=local[1], remote_addr=remote[0], remote_port=remote[1],
        **{"time_": at, **more},
    )  # fmt: skip


def audited(feed, at, hid, syscall, *, pid, exe="/usr/bin/curl", **more):
    """Have a host tell of an audited call."""
    feed.row("socket_events", at, hid, time_=at, syscall=syscall, pid=pid, process=exe, **more)


def pids(connection, side):
    """Return the process IDs of a side."""
    return sorted(connection.get(f"{side}_pids", []))


def test_no_agent_no_columns(offline):
    """A connection between hosts without agents has none of the columns."""
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80))
    offline.run()
    connection = offline.connection(4000)
    ours = {f"{side}_{column}" for side in ("orig", "resp") for column in COLUMNS}
    assert not ours & set(connection)
    assert not offline.log("zeek-agent-attribution")


@pytest.mark.parametrize("known", ["orig", "resp", "orig resp"])
def test_only_hosts_known(offline, known):
    """Where only the host is known, agent and name are there and nothing is invented."""
    if "orig" in known:
        offline.feed.hello(1, "A", "alpha", CLIENT)
    if "resp" in known:
        offline.feed.hello(1, "B", "beta", SERVER)
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80))
    offline.run()
    connection = offline.connection(4000)
    assert connection.get("orig_agents") == (["A"] if "orig" in known else None)
    assert connection.get("orig_hostnames") == (["alpha"] if "orig" in known else None)
    assert connection.get("resp_agents") == (["B"] if "resp" in known else None)
    assert "orig_pids" not in connection
    assert "resp_pids" not in connection


def test_hosts_share_an_address(offline):
    """Three hosts with one address and two with the other: sets of three and of two."""
    for hid in ("A", "B", "C"):
        offline.feed.hello(1, hid, hid.lower(), CLIENT)
    for hid in ("D", "E"):
        offline.feed.hello(1, hid, hid.lower(), SERVER)
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80))
    offline.run()
    connection = offline.connection(4000)
    assert sorted(connection["orig_agents"]) == ["A", "B", "C"]
    assert sorted(connection["resp_agents"]) == ["D", "E"]


def test_the_host_with_the_socket_wins(offline):
    """Of hosts that share an address the one that has the socket is named."""
    for hid in ("A", "B", "C"):
        offline.feed.hello(1, hid, hid.lower(), CLIENT)
    opened(offline.feed, 9, "B", (CLIENT, 4000), (SERVER, 80), pid=7)
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80), lasts=5)
    offline.run()
    connection = offline.connection(4000)
    assert connection["orig_agents"] == ["B"]
    assert connection["orig_pids"] == [7]


@pytest.mark.parametrize("first", ["process", "socket"])
def test_both_sides_in_full(offline, first):
    """With sockets, processes and users of both hosts all columns are there, in any order."""
    feed = offline.feed
    for hid, name, address in (("A", "alpha", CLIENT), ("B", "beta", SERVER)):
        feed.hello(1, hid, name, address)
        feed.row("users", 2, hid, uid="1000", name="ann")
        feed.row("users", 2, hid, uid="33", name="www-data")
    moments = (3, 4) if first == "process" else (4, 3)
    feed.row("processes", moments[0], "A", pid=6, name="bash", ppid=1, uid=1000, startup=-50)
    feed.row("processes", moments[0], "A", pid=7, name="curl", ppid=6, uid=1000, startup=2,
             exe="/usr/bin/curl", cmdline="curl http://beta/")  # fmt: skip
    opened(feed, moments[1], "A", (CLIENT, 4000), (SERVER, 80), pid=7, uid=1000)
    feed.row("processes", moments[0], "B", pid=1, name="systemd", uid=0, startup=-1000)
    feed.row("processes", moments[0], "B", pid=70, name="nginx", ppid=1, uid=33, startup=-900,
             exe="/usr/sbin/nginx")  # fmt: skip
    listens(feed, moments[1], "B", "0.0.0.0", 80, pid=70)
    offline.trace.tcp(3, (CLIENT, 4000), (SERVER, 80), lasts=4)
    offline.run()
    connection = offline.connection(4000)
    values = {name: connection.get(f"orig_{name}") for name in COLUMNS}
    assert values == {
        "agents": ["A"], "hostnames": ["alpha"], "pids": [7], "processes": ["curl"],
        "exes": ["/usr/bin/curl"], "uids": [1000], "users": ["ann"], "ppids": [6],
        "parents": ["bash"],
    }  # fmt: skip
    values = {name: connection.get(f"resp_{name}") for name in COLUMNS}
    assert values == {
        "agents": ["B"], "hostnames": ["beta"], "pids": [70], "processes": ["nginx"],
        "exes": ["/usr/sbin/nginx"], "uids": [33], "users": ["www-data"], "ppids": [1],
        "parents": ["systemd"],
    }  # fmt: skip
    rows = {row["is_orig"]: row for row in offline.log("zeek-agent-attribution")}
    assert rows[True]["confidence"] == 1
    assert rows[True]["cmdline"] == "curl http://beta/"
    assert rows[True]["uid_"] == 1000
    assert rows[True]["seuid"] == connection["orig_seuids"][0]
    assert rows[False]["confidence"] == 4
    assert not any(row["late"] for row in rows.values())


def test_state_goes_before_the_connection(offline):
    """A socket that was closed, and a process that ended, are still known soon after."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    feed.row("processes", 9, "A", pid=7, name="curl", uid=5, startup=8, exe="/bin/curl")
    opened(feed, 9, "A", (CLIENT, 4000), (SERVER, 80), pid=7)
    feed.row("processes", 12, "A", change="Delete", pid=7, name="curl", uid=5, startup=8,
             exe="/bin/curl")  # fmt: skip
    opened(feed, 12, "A", (CLIENT, 4000), (SERVER, 80), pid=7, change="Delete")
    offline.trace.tcp(9, (CLIENT, 4000), (SERVER, 80), lasts=2)
    offline.run()
    connection = offline.connection(4000)
    assert (connection["orig_pids"], connection["orig_uids"]) == ([7], [5])
    assert connection["orig_exes"] == ["/bin/curl"]


def test_expiry(offline):
    """A socket that was closed for longer than it is kept, and long before, does not match."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    opened(feed, 2, "A", (CLIENT, 4000), (SERVER, 80), pid=7)
    opened(feed, 4, "A", (CLIENT, 4000), (SERVER, 80), pid=7, change="Delete")
    offline.trace.tcp(30, (CLIENT, 4000), (SERVER, 80))
    offline.trace.wait(200)
    offline.run("""
event zeek_done() { print ZeekAgent::Attribution::stats()$sockets; }
""")
    assert "orig_pids" not in offline.connection(4000)
    assert offline.output.strip() == "0"


def test_wrong_direction(offline):
    """A connection from the server's port to the client's is another one."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    opened(feed, 9, "A", (CLIENT, 80), (SERVER, 4000), pid=7)
    listens(feed, 9, "A", "0.0.0.0", 4000, pid=8)
    offline.trace.tcp(9, (CLIENT, 4000), (SERVER, 80), lasts=2)
    offline.run()
    assert "orig_pids" not in offline.connection(4000)


def test_two_clients_of_one_server(offline):
    """Two processes of one host that talk to one server are told apart."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    for pid, port in ((7, 4000), (8, 4001)):
        event(feed, 10, "A", "established", (CLIENT, port), (SERVER, 80), pid=pid, uid=pid)
        offline.trace.tcp(10, (CLIENT, port), (SERVER, 80))
    offline.run()
    for pid, port in ((7, 4000), (8, 4001)):
        connection = offline.connection(port)
        assert (connection["orig_pids"], connection["orig_uids"]) == ([pid], [pid])


def test_two_connections_to_one_listener(offline):
    """A listening socket stays after an attribution, for the next connection."""
    listens(offline.feed, 2, "B", "::", 80, pid=70)
    offline.feed.hello(1, "B", "beta", SERVER)
    for at, port in ((10, 4000), (30, 4001)):
        offline.trace.tcp(at, (CLIENT, port), (SERVER, 80))
    offline.run()
    for port in (4000, 4001):
        assert offline.connection(port)["resp_pids"] == [70]


@pytest.mark.parametrize(
    ("address", "matches"),
    [(SERVER, True), ("0.0.0.0", True), ("::", True), ("10.1.0.77", False)],
)
def test_listening_addresses(offline, address, matches):
    """A socket takes connections to its own address, or to any if it is bound to none."""
    offline.feed.hello(1, "B", "beta", SERVER, "10.1.0.77")
    listens(offline.feed, 2, "B", address, 80, pid=70)
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80))
    offline.run()
    assert pids(offline.connection(4000), "resp") == ([70] if matches else [])


def test_the_accepted_connection_wins(offline):
    """The process that accepted a connection is named, not the one that listens."""
    feed = offline.feed
    feed.hello(1, "B", "beta", SERVER)
    listens(feed, 2, "B", "0.0.0.0", 80, pid=70)
    event(feed, 10, "B", "established", (SERVER, 80), (CLIENT, 4000), pid=71, process="nginx")
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80))
    offline.run()
    assert pids(offline.connection(4000), "resp") == [71]


def test_processes_that_listen_together(offline):
    """Several processes with one listening port are all named."""
    offline.feed.hello(1, "B", "beta", SERVER)
    for pid in (70, 71):
        listens(offline.feed, 2, "B", "0.0.0.0", 80, pid=pid)
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80))
    offline.run()
    assert pids(offline.connection(4000), "resp") == [70, 71]


def test_an_inherited_listener(offline):
    """A socket that one process opened and another has now is the other's, in any order."""
    feed = offline.feed
    feed.hello(1, "B", "beta", SERVER)
    feed_first = ("0.0.0.0", 80), ("0.0.0.0", 0)
    event(feed, 2, "B", "listen", *feed_first, pid=60, process="init", seuid="S1")
    listens(feed, 5, "B", "0.0.0.0", 80, pid=70)
    listens(feed, 5, "B", "0.0.0.0", 81, pid=71)
    event(feed, 7, "B", "listen", ("0.0.0.0", 81), ("0.0.0.0", 0), pid=61, time_=3)
    for at, port, server in ((10, 4000, 80), (10, 4001, 81), (40, 4002, 80)):
        offline.trace.tcp(at, (CLIENT, port), (SERVER, server))
    listens(feed, 30, "B", "0.0.0.0", 80, pid=70, change="Delete")
    offline.run()
    assert pids(offline.connection(4000), "resp") == [70]
    assert pids(offline.connection(4001), "resp") == [71]
    assert pids(offline.connection(4002), "resp") == []


def test_an_inherited_connection(offline):
    """Of a connection that was passed on, the process is named that accepted it."""
    feed = offline.feed
    feed.hello(1, "B", "beta", SERVER)
    for port, times in ((4000, (10, 12)), (4001, (12, 10))):
        ends = (SERVER, 80), (CLIENT, port)
        event(feed, times[0], "B", "established", *ends, pid=70, seuid=f"S{port}", time_=10)
        opened(feed, times[1], "B", *ends, pid=71, host_time=11)
        opened(feed, 14, "B", *ends, pid=71, change="Delete")
        offline.trace.tcp(10, (CLIENT, port), (SERVER, 80), lasts=3)
    offline.trace.wait(80)
    offline.run("""
event zeek_done() { print ZeekAgent::Attribution::stats()$sockets; }
""")
    for port in (4000, 4001):
        assert pids(offline.connection(port), "resp") == [70]
    assert offline.output.strip() == "0"


def test_udp_client(offline):
    """A question to a name server, and a TCP socket with the same ports."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    event(feed, 10, "A", "established", (CLIENT, 4000), (SERVER, 53), pid=7, protocol=17,
          process="dig")  # fmt: skip
    event(feed, 10, "A", "established", (CLIENT, 4000), (SERVER, 53), pid=8, protocol=6)
    offline.trace.udp(10, (CLIENT, 4000), (SERVER, 53))
    offline.run()
    connection = offline.connection(4000)
    assert connection["orig_processes"] == ["dig"]
    assert connection["orig_pids"] == [7]


@pytest.mark.parametrize("remote", [("0.0.0.0", 0), (SERVER, 53)])
def test_udp_client_without_address(offline, remote):
    """A datagram socket that is not bound to an address is found by its port."""
    offline.feed.hello(1, "A", "alpha", CLIENT)
    opened(offline.feed, 9, "A", ("0.0.0.0", 4000), remote, pid=7, protocol=17, process="dig")
    offline.trace.udp(10, (CLIENT, 4000), (SERVER, 53))
    offline.run()
    assert pids(offline.connection(4000), "orig") == [7]


def test_ipv6(offline):
    """IPv6 works as IPv4 does, on both sides."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT6, "fe80::1")
    feed.hello(1, "B", "beta", SERVER6)
    opened(feed, 9, "A", (CLIENT6, 4000), (SERVER6, 80), pid=7)
    listens(feed, 9, "B", "::", 80, pid=70)
    offline.trace.tcp(9, (CLIENT6, 4000), (SERVER6, 80), lasts=2)
    offline.run()
    connection = offline.connection(4000)
    assert pids(connection, "orig") == [7]
    assert pids(connection, "resp") == [70]


def test_ipv4_mapped(offline):
    """An IPv6 socket that talks IPv4 has mapped addresses, and matches."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    opened(feed, 9, "A", (f"::ffff:{CLIENT}", 4000), (f"::ffff:{SERVER}", 80), pid=7)
    offline.trace.tcp(9, (CLIENT, 4000), (SERVER, 80), lasts=2)
    offline.run()
    assert pids(offline.connection(4000), "orig") == [7]


def test_nat(offline):
    """Behind a translated address, which no host has, nothing is found."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", "192.168.0.5")
    opened(feed, 9, "A", ("192.168.0.5", 4000), (SERVER, 80), pid=7)
    offline.trace.tcp(9, ("198.51.100.1", 4000), (SERVER, 80), lasts=2)
    offline.run()
    assert "orig_agents" not in offline.connection(4000)


def test_addresses_that_say_nothing(offline):
    """Addresses of the loopback and of links do not make a host known."""
    offline.feed.hello(1, "A", "alpha", "127.0.0.1", "fe80::5", "169.254.1.1")
    offline.trace.tcp(9, ("fe80::5", 4000), ("fe80::9", 80))
    offline.trace.tcp(9, ("169.254.1.1", 4001), (SERVER, 80))
    offline.run()
    assert "orig_agents" not in offline.connection(4000)
    assert "orig_agents" not in offline.connection(4001)


def test_connect_only(offline):
    """A call to connect matches by the peer and the time, in the right direction."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    audited(feed, 10, "A", "connect", pid=7, success=False, exit=-115, remote_address=SERVER,
            remote_port=80)  # fmt: skip
    audited(feed, 50, "A", "connect", pid=8, success=True, exit=0, remote_address=SERVER,
            remote_port=80)  # fmt: skip
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80))
    offline.trace.tcp(50, (CLIENT, 4001), (SERVER, 80))
    offline.trace.tcp(51, (SERVER, 80), (CLIENT, 4002))
    offline.trace.tcp(70, (CLIENT, 4003), (SERVER, 80))
    offline.run()
    assert pids(offline.connection(4000), "orig") == [7]
    assert pids(offline.connection(4001), "orig") == [8]
    assert pids(offline.connection(80), "resp") == []
    assert pids(offline.connection(4003), "orig") == []
    assert offline.log("zeek-agent-attribution")[0]["confidence"] == 3


def test_bind_only(offline):
    """A call to bind matches as a listening socket does, but is not kept as long."""
    feed = offline.feed
    feed.hello(1, "B", "beta", SERVER)
    audited(feed, 9, "B", "bind", pid=70, exe="/bin/nc", success=True, exit=0,
            local_address="0.0.0.0", local_port=80, protocol=6)  # fmt: skip
    audited(feed, 9, "B", "bind", pid=71, success=True, exit=0, local_address="0.0.0.0",
            local_port=0)  # fmt: skip
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80))
    offline.trace.tcp(20, (CLIENT, 4001), (SERVER, 81))
    offline.trace.tcp(150, (CLIENT, 4002), (SERVER, 80))
    offline.run()
    assert pids(offline.connection(4000), "resp") == [70]
    assert offline.connection(4000)["resp_processes"] == ["nc"]
    assert pids(offline.connection(4001), "resp") == []
    assert pids(offline.connection(4002), "resp") == []


def test_unknown_protocol(offline):
    """Both sides known without the protocol: the second best class."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    audited(feed, 10, "A", "connect", pid=7, success=True, exit=0, local_address=CLIENT,
            local_port=4000, remote_address=SERVER, remote_port=80)  # fmt: skip
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80))
    offline.run()
    assert pids(offline.connection(4000), "orig") == [7]
    assert offline.log("zeek-agent-attribution")[0]["confidence"] == 2


@pytest.mark.parametrize(("end", "matches"), [("refused", True), ("silent", True), ("fin", False)])
def test_failed_connects(offline, end, matches):
    """What failed to connect is behind attempts, never behind a connection that came about."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    event(feed, 10.1, "A", "failed", (CLIENT, 4000), (SERVER, 80), pid=7)
    audited(feed, 20, "A", "connect", pid=8, success=False, exit=-111, remote_address=SERVER,
            remote_port=81)  # fmt: skip
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80), end=end)
    offline.trace.tcp(20, (CLIENT, 4001), (SERVER, 81), end=end)
    offline.run()
    assert pids(offline.connection(4000), "orig") == ([7] if matches else [])
    assert pids(offline.connection(4001), "orig") == ([8] if matches else [])


def test_ports_used_again(offline):
    """Two connections with the same addresses and ports belong to different processes."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    for at, pid, end in ((10, 7, 11), (25, 8, 26)):
        event(feed, at, "A", "established", (CLIENT, 4000), (SERVER, 80), pid=pid, seuid=f"S{pid}")
        event(feed, end, "A", "closed", (CLIENT, 4000), (SERVER, 80), pid=pid, seuid=f"S{pid}")
        offline.trace.tcp(at, (CLIENT, 4000), (SERVER, 80), lasts=1)
    offline.run()
    rows = sorted(
        (row for row in offline.log("conn") if row["id.orig_p"] == 4000), key=lambda row: row["ts"]
    )
    assert [row["orig_pids"] for row in rows] == [[7], [8]]
    assert [row["orig_seuids"] for row in rows] == [["S7"], ["S8"]]


def test_namespaces(offline):
    """A socket in a container does not take what comes to the host's own address."""
    feed = offline.feed
    feed.hello(1, "B", "beta", SERVER)
    opened(feed, 2, "B", (SERVER, 5000), ("10.1.0.1", 27759), pid=3, netns=1)
    listens(feed, 2, "B", "0.0.0.0", 80, pid=70, netns=1)
    listens(feed, 2, "B", "0.0.0.0", 80, pid=71, netns=2)
    offline.trace.tcp(10, (CLIENT, 4000), (SERVER, 80))
    offline.run()
    assert pids(offline.connection(4000), "resp") == [70]


def test_clocks_that_differ(offline):
    """The clock of a host may be an hour off: its hellos show that."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT, host_time=3601)
    feed.row("sockets_events", 10, "A", host_time=3610, time_=3609, state="established", pid=7,
             protocol=6, local_addr=CLIENT, local_port=4000, remote_addr=SERVER,
             remote_port=80)  # fmt: skip
    offline.trace.tcp(9, (CLIENT, 4000), (SERVER, 80), lasts=2)
    offline.run()
    assert pids(offline.connection(4000), "orig") == [7]


def test_process_id_used_again(offline):
    """A process is named by what its ID stood for at the time of the connection."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    times = ((10, "/bin/one", 1), (40, "/bin/two", 2))
    for at, exe, uid in times:
        name = exe.rsplit("/", 1)[1]
        feed.row("processes_events", at, "A", time_=at, state="started", pid=7, name=exe, exe=exe,
                 uid=uid, ppid=1, startup=at)  # fmt: skip
        feed.row("processes_events", at + 15, "A", time_=at + 15, state="stopped", pid=7, name=exe,
                 exe=exe, uid=uid, ppid=1, startup=at)  # fmt: skip
        port = 4000 + uid
        event(feed, at + 7, "A", "established", (CLIENT, port), (SERVER, 80), pid=7, process=name)
        offline.trace.tcp(at + 7, (CLIENT, port), (SERVER, 80), lasts=6)
    offline.run("""
event zeek_done() {
    print ZeekAgent::Attribution::process("A", 7, double_to_time(1800000012.0))$name;
    print ZeekAgent::Attribution::process("A", 7, double_to_time(1800000047.0))$name;
}
""")
    assert offline.connection(4001)["orig_exes"] == ["/bin/one"]
    assert offline.connection(4001)["orig_uids"] == [1]
    assert offline.connection(4002)["orig_exes"] == ["/bin/two"]
    assert offline.output.split() == ["/bin/one", "/bin/two"]


def test_a_new_snapshot_closes_what_it_does_not_show(offline):
    """When an agent starts anew, its snapshot says which sockets are still there."""
    feed = offline.feed
    feed.hello(1, "B", "beta", SERVER)
    listens(feed, 2, "B", "0.0.0.0", 80, pid=70, host_time=2)
    listens(feed, 2, "B", "0.0.0.0", 81, pid=71, host_time=2)
    listens(feed, 20, "B", "0.0.0.0", 81, pid=71, host_time=20)
    for at, port in ((10, 4000), (40, 4001)):
        offline.trace.tcp(at, (CLIENT, port), (SERVER, 80))
    offline.trace.tcp(40, (CLIENT, 4002), (SERVER, 81))
    offline.run()
    assert pids(offline.connection(4000), "resp") == [70]
    assert pids(offline.connection(4001), "resp") == []
    assert pids(offline.connection(4002), "resp") == [71]


def test_a_host_goes(offline):
    """What is known of a host is dropped a minute after its agent went, unless it came back."""
    feed = offline.feed
    for hid, address in (("A", CLIENT), ("B", SERVER)):
        feed.hello(1, hid, hid.lower(), address)
        listens(feed, 2, hid, "0.0.0.0", 80, pid=70)
        feed.shutdown(10, hid)
    feed.hello(40, "B", "b", SERVER)
    for at, port in ((20, 4000), (100, 4001)):
        offline.trace.tcp(at, ("10.9.9.9", port), (SERVER, 80))
        offline.trace.tcp(at, ("10.9.9.9", port + 10), (CLIENT, 80))
    offline.run()
    assert pids(offline.connection(4000), "resp") == [70]
    assert pids(offline.connection(4001), "resp") == [70]
    assert pids(offline.connection(4010), "resp") == [70]
    assert "resp_agents" not in offline.connection(4011)


def test_an_address_moves(offline):
    """An address that a host says no more that it has is not its own any more."""
    feed = offline.feed
    feed.hello(1, "A", "alpha", CLIENT)
    feed.hello(20, "A", "alpha", "10.1.0.6")
    feed.hello(20, "B", "beta", CLIENT)
    for at, port in ((10, 4000), (30, 4001)):
        offline.trace.tcp(at, (CLIENT, port), (SERVER, 80))
    offline.trace.tcp(30, ("10.1.0.6", 4002), (SERVER, 80))
    offline.run()
    assert offline.connection(4000)["orig_agents"] == ["A"]
    assert offline.connection(4001)["orig_agents"] == ["B"]
    assert offline.connection(4002)["orig_hostnames"] == ["alpha"]
