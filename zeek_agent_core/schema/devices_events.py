"""Declaration of ``devices_events``, which every pack fills."""

from zeek_agent_core.api import EQ, Column, Sourced, Type


class DevicesEvents(Sourced):
    """Devices as they are plugged in, pulled out, and change.

    A row for each device that the system makes of one thing: a memory stick
    gives one for the USB device, others for its interface, its disk and its
    partitions. `vendor`, `product` and `serial` are those of the thing they
    all belong to.

    On Linux these are the kernel's own events, before udev has seen them; those
    of network interfaces in other network namespaces are not seen. With
    `initial = true` in the settings a row of the action `present` comes first
    for each device that is there.
    """

    name = "devices_events"
    columns = (
        Column("time", Type.TIME, "when the agent heard of it"),
        Column(
            "action",
            Type.TEXT,
            "`add`, `remove`, `change`, `move` (renamed), `bind` and `unbind` (a driver), "
            "`online`, `offline`; `present` if asked for in the settings",
            pushdown=EQ,
        ),
        Column("subsystem", Type.TEXT, "kind of device: `usb`, `block`, `net`, ...", pushdown=EQ),
        Column("type", Type.TEXT, "kind within the subsystem: `disk`, `partition`, `usb_device`"),
        Column("path", Type.TEXT, "where the system has it: path below `/sys`, instance ID"),
        Column("old_path", Type.TEXT, "for `move`: the path before"),
        Column("name", Type.TEXT, "device file, interface or drive: `/dev/sdb1`, `eth0`, `E:`"),
        Column("driver", Type.TEXT, "driver that serves it"),
        Column("vendor_id", Type.TEXT, "number of the vendor on the bus, hexadecimal"),
        Column("product_id", Type.TEXT, "number of the product, hexadecimal"),
        Column("vendor", Type.TEXT, "the vendor's name, as the device tells it"),
        Column("product", Type.TEXT, "the product's name, as the device tells it"),
        Column("serial", Type.TEXT, "serial number, as the device tells it"),
    )
    examples = (
        "SELECT time, action, vendor, product, serial FROM devices_events WHERE subsystem = 'usb'",
        "SELECT time, name, product FROM devices_events WHERE action = 'add' AND type = 'disk'",
    )
