"""Values between the agent's form and that of Broker's Python bindings."""

import ipaddress
from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta
from typing import Any

from zeek_agent_core.broker import data
from zeek_agent_core.values import EPOCH, Port

_MICRO = timedelta(microseconds=1)


class Converter:
    """Converts with the types of one generation of bindings."""

    def __init__(self, broker: Any) -> None:
        """Use the types of the module *broker*."""
        self._broker = broker
        kinds = broker.Port
        self._protocols = {"tcp": kinds.TCP, "udp": kinds.UDP, "icmp": kinds.ICMP}
        self._protocol_names = {str(kind): name for name, kind in self._protocols.items()}
        self._makers: dict[type, Callable[[Any], Any]] = {
            data.Count: lambda value: broker.Count(int(value)),
            data.Timespan: lambda value: _MICRO * (int(value) // 1000),
            data.Timestamp: lambda value: EPOCH + _MICRO * (int(value) // 1000),
            data.Enum: lambda value: broker.Enum(str(value)),
            data.Address: ipaddress.ip_address,
            data.Subnet: ipaddress.ip_network,
            data.Set: lambda value: {self.to_broker(item) for item in value},
            data.Table: self._to_dict,
            Port: self._to_port,
            tuple: lambda value: tuple(self.to_broker(item) for item in value),
            list: lambda value: tuple(self.to_broker(item) for item in value),
        }

        self._readers: dict[type, Callable[[Any], data.Value]] = {
            bytes: lambda value: value.decode(errors="backslashreplace"),
            broker.Count: lambda value: data.Count(value.value),
            broker.Enum: lambda value: data.Enum(value.name),
            broker.Port: self._from_port,
            timedelta: lambda value: data.Timespan(value // _MICRO * 1000),
            datetime: lambda value: data.Timestamp(
                (value.astimezone(UTC) - EPOCH) // _MICRO * 1000
            ),
        }

    def to_broker(self, value: data.Value) -> Any:
        """Return *value* as the bindings take it."""
        make = self._makers.get(type(value))
        return value if make is None else make(value)

    def _to_dict(self, pairs: data.Table) -> dict[Any, Any]:
        return {self.to_broker(key): self.to_broker(value) for key, value in pairs}

    def _to_port(self, port: Port) -> Any:
        protocol = self._protocols.get(port.protocol, self._broker.Port.Unknown)
        return self._broker.Port(port.number, protocol)

    def from_broker(self, value: Any) -> data.Value:
        """Return what the bindings made, as the agent holds it."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        read = self._readers.get(type(value))
        return self._composite(value) if read is None else read(value)

    def _from_port(self, port: Any) -> Port:
        name = self._protocol_names.get(str(port.get_type()), "unknown")
        return Port(port.number(), name)

    def _composite(self, value: Any) -> data.Value:
        if isinstance(value, tuple | list):
            return tuple(self.from_broker(item) for item in value)
        if isinstance(value, set | frozenset):
            return data.Set(sorted((self.from_broker(item) for item in value), key=str))
        if isinstance(value, dict):
            pairs = value.items()
            return data.Table((self.from_broker(k), self.from_broker(v)) for k, v in pairs)
        if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address):
            return data.Address(value)
        if isinstance(value, Hashable):
            return data.Subnet(value)  # what is left: networks
        raise TypeError(f"Broker sent a {type(value).__name__}")
