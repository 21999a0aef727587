"""Declaration of ``interfaces``."""

from zeek_agent_core.api import Column, Snapshot, Type


class Interfaces(Snapshot):
    """Network interfaces of the host, one row per interface."""

    name = "interfaces"
    columns = (
        Column("name", Type.TEXT, "name of the interface"),
        Column("number", Type.COUNT, "number that the system gave it"),
        Column("mac", Type.TEXT, "hardware address, for example `00:1a:2b:3c:4d:5e`"),
        Column("mtu", Type.COUNT, "size of the largest packet, in bytes"),
        Column("is_up", Type.BOOL, "whether the interface is switched on"),
        Column("is_running", Type.BOOL, "whether it is ready to pass packets"),
        Column("is_loopback", Type.BOOL, "whether it leads back to the host itself"),
        Column("speed", Type.COUNT, "speed of the link, in Mbit/s"),
        Column("addresses", Type.SET, "IP addresses, without scope", element=Type.ADDRESS),
        Column(
            "networks",
            Type.SET,
            "networks that are attached directly, for example `192.0.2.0/24`",
            element=Type.TEXT,
        ),
    )
    examples = (
        "SELECT name, mac, addresses FROM interfaces WHERE is_up AND NOT is_loopback",
        "SELECT i.name, a.value FROM interfaces i, json_each(i.addresses, '$.value') a",
    )
