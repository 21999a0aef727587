"""Clusters of real Zeek processes, each in a directory of its own."""

import signal

from tests.zeek.conftest import RealZeek, free_port

# With ZeroMQ a manager that is the logger as well takes no WebSocket clients (Zeek 9.0).
LAYOUT = """
redef Cluster::manager_is_logger = F;
redef Cluster::nodes = {
    ["logger"] = [$node_type=Cluster::LOGGER, $ip=127.0.0.1, $p=L_PORT/tcp],
    ["manager"] = [$node_type=Cluster::MANAGER, $ip=127.0.0.1, $p=M_PORT/tcp],
    ["proxy"] = [$node_type=Cluster::PROXY, $ip=127.0.0.1, $p=P_PORT/tcp, $manager="manager"],
    ["worker-1"] = [$node_type=Cluster::WORKER, $ip=127.0.0.1, $manager="manager"],
    ["worker-2"] = [$node_type=Cluster::WORKER, $ip=127.0.0.1, $manager="manager"],
};
"""
BACKENDS = {
    # Before 8.1 it is what a cluster has anyway.
    "broker": """
@if ( Version::number >= 80100 )
@load frameworks/cluster/backend/broker
@endif
""",
    "zeromq": """
@load frameworks/cluster/backend/zeromq
@if ( Version::number < 80100 )
@load frameworks/cluster/backend/zeromq/connect
@endif
redef Cluster::Backend::ZeroMQ::listen_xpub_endpoint = "tcp://127.0.0.1:XPUB";
redef Cluster::Backend::ZeroMQ::listen_xsub_endpoint = "tcp://127.0.0.1:XSUB";
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = "tcp://127.0.0.1:XSUB";
redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = "tcp://127.0.0.1:XPUB";
""",
}


class ClusterNode(RealZeek):
    """One node of a cluster; only one listens for agents."""

    def __init__(self, home, script, *, port, node, is_listening):
        super().__init__(home, script, port=port, node=node)
        self._is_listening = is_listening

    def listens(self):
        """Return whether the node is ready, as far as that can be seen."""
        return not self._is_listening or super().listens()

    def stop(self, number=signal.SIGKILL):
        """End it at once: nodes whose peers are gone wait for them."""
        super().stop(number)


class RealCluster:
    """A manager, a proxy and two workers, which the test starts and kills one by one."""

    def __init__(self, start, path, script, backend="broker", *, designated="manager", kind=None):
        self._make = start
        self._kind = kind or ClusterNode
        self._designated = designated
        self._path = path
        self.port = free_port()
        ports = {name: str(free_port()) for name in ("L_PORT", "M_PORT", "P_PORT", "XPUB", "XSUB")}
        self.layout, self._script = LAYOUT, BACKENDS[backend] + script
        for name, number in ports.items():
            self.layout = self.layout.replace(name, number)
            self._script = self._script.replace(name, number)
        self.nodes = {}

    @property
    def release(self):
        """The release of Zeek."""
        return self.nodes[self._designated].release

    def start(self, name):
        """Start a node, for the first time or again; return it."""
        if name in self.nodes:
            self.nodes[name].start()
        else:
            home = self._path / name
            home.mkdir()
            (home / "cluster-layout.zeek").write_text(self.layout)
            self.nodes[name] = self._make(
                self._kind,
                name,
                self._script,
                node=name,
                port=self.port,
                is_listening=name == self._designated,
            )
        return self.nodes[name]
