"""``zeek_agent_connections``: the Zeeks that the agent is to be joined to, and how that goes."""

from collections.abc import Iterator

from zeek_agent_core.api import Column, Host, Row, Snapshot, Type, Where, hookimpl


class ZeekAgentConnections(Snapshot):
    """Destinations of the configuration: whether each is joined, and what went over the wire.

    Counts are those of the present connection. A destination without one has
    the reason in `last_error`.
    """

    name = "zeek_agent_connections"
    columns = (
        Column("destination", Type.TEXT, "destination as the configuration has it"),
        Column("is_connected", Type.BOOL, "whether Zeek has answered on the present connection"),
        Column("server", Type.TEXT, "`cluster`: Zeek's own; `broker`: Broker's; `native`: peering"),
        Column("version", Type.TEXT, "version that the server tells"),
        Column("endpoint", Type.TEXT, "name that the server gave the connection"),
        Column("connects", Type.COUNT, "how often a connection was made since the agent started"),
        Column("zeeks", Type.COUNT, "Zeek instances that are heard"),
        Column("sent", Type.COUNT, "events sent"),
        Column("sent_bytes", Type.COUNT, "their size on the wire"),
        Column("confirmed", Type.COUNT, "events that the server has surely received"),
        Column("received", Type.COUNT, "events that came from Zeek"),
        Column("errors", Type.COUNT, "complaints of the server about what it was sent"),
        Column("last_error", Type.TEXT, "why there is no connection; NULL where there is one"),
    )
    volatile = frozenset({"sent", "sent_bytes", "confirmed", "received", "errors"})
    examples = ("SELECT destination, is_connected, last_error FROM zeek_agent_connections",)

    def rows(self, where: Where) -> Iterator[Row]:  # noqa: ARG002 - there are never many
        """Yield what the links tell."""
        yield from self.host.agent.connections()


@hookimpl
def zeek_agent_tables(host: Host) -> list[ZeekAgentConnections]:
    """Offer the table everywhere."""
    return [ZeekAgentConnections(host)]
