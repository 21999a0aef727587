"""What agents tell, as a Zeek script: events at moments of a trace."""

from tests.zeek.attribution.traces import START

HEADER = """
module ZeekAgent::Attribution;
global feed: event(number: count);
"""
TEXTS = {
    "process", "name", "exe", "cmdline", "state", "seuid", "syscall", "local_address",
    "remote_address",
}  # fmt: skip
INTERVALS = {"startup", "duration"}


def literal(name, value, start):
    """Return *value* as Zeek writes it in the field *name*."""
    if isinstance(value, bool):
        return "T" if value else "F"
    if name == "time_":
        return f"double_to_time({start + value:.6f})"
    if name in INTERVALS:
        shift = start if name == "startup" else 0.0
        return f"{shift + value:.6f} sec"
    if name.endswith("_addr"):
        return f"[{value}]" if ":" in value else value
    if name in TEXTS or isinstance(value, str):
        return f'"{value}"'
    return str(value)


class Feed:
    """Events of agents; their moments are seconds since the start of the trace."""

    def __init__(self, start=START):
        self._start = start
        self._events = []

    def hello(self, at, hid, hostname, *addresses, host_time=None):
        """Have an agent say hello."""
        told = ", ".join(f"[{one}]" if ":" in one else one for one in addresses)
        self._add(
            at,
            f"ZeekAgentAPI::agent_hello_v1({self._context(hid, at, host_time, 'hello')}, "
            f'ZeekAgentAPI::AgentHelloV1($agent_id="{hid}", $instance_id="i", '
            f'$hostname="{hostname}", $addresses=set({told})))',
        )

    def shutdown(self, at, hid):
        """Have an agent say goodbye."""
        self._add(at, f"ZeekAgentAPI::agent_shutdown_v1({self._context(hid, at, None, None)})")

    def row(self, table, at, hid, *, change=None, host_time=None, **columns):
        """Have a table tell a row; *change* is `Add` or `Delete` in a difference."""
        camel = "".join(word.capitalize() for word in table.split("_"))
        fields = ", ".join(
            f"${name}={literal(name, value, self._start)}" for name, value in columns.items()
        )
        context = self._context(hid, at, host_time, table, change)
        self._add(at, f"{table}_row({context}, {camel}Row({fields}))")

    def moments(self):
        """Return when the events happen."""
        return [at for at, _ in self._events]

    def script(self):
        """Return the Zeek script that raises all the events."""
        cases = "".join(
            f"\tif ( number == {number} ) event {event};\n"
            for number, (_, event) in enumerate(self._events)
        )
        schedules = "".join(
            f"\tschedule double_to_time({self._start + at:.6f}) - network_time() "
            f"{{ feed({number}) }};\n"
            for number, (at, _) in enumerate(self._events)
        )
        return (
            f"{HEADER}event feed(number: count)\n\t{{\n{cases}\t}}\n"
            f"event network_time_init()\n\t{{\n{schedules}\t}}\n"
        )

    def _context(self, hid, at, host_time, query, change=None):
        moment = self._start + (at if host_time is None else host_time)
        fields = [f'$agent_id="{hid}"', f"$host_time=double_to_time({moment:.6f})"]
        if query:
            fields.append(f'$query_id="{query}"')
        if change:
            fields.append(f"$change=ZeekAgent::{change}")
        return f"ZeekAgent::Context({', '.join(fields)})"

    def _add(self, at, event):
        self._events.append((at, event))
