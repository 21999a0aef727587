"""Pure: lines that tell the owner of this host what Zeek asked, and what it got."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from zeek_agent_core.broker import messages
from zeek_agent_core.broker.actions import Action, Cancel, Install, Publish, PublishRows
from zeek_agent_core.values import iso_time, to_json, type_of_value

LEVELS = ("off", "summary", "full")


class Auditor:
    """Turns what a session orders into JSON lines; `full` has the rows themselves."""

    def __init__(self, level: str, name: str) -> None:
        """Write at *level* about the destination *name*."""
        self._level = level
        self._name = name

    def lines(self, orders: Iterable[Action], now: int) -> Iterator[str]:
        """Yield a line for each of *orders* that concerns a query; *now* in nanoseconds."""
        if self._level == "off":
            return
        for order in orders:
            facts = self._facts(order)
            if facts:
                line = {"time": iso_time(now // 1000), "zeek": self._name, **facts}
                yield json.dumps(line, ensure_ascii=False, default=str)

    def _facts(self, order: Action) -> dict[str, Any] | None:
        match order:
            case Install(query):
                return {
                    "what": "query",
                    "query": query.id,
                    "asker": query.asker,
                    "sql": query.sql,
                    "interval": query.interval and query.interval.total_seconds(),
                    "subscription": query.subscription,
                }
            case Cancel(query_id):
                return {"what": "cancel", "query": query_id}
            case PublishRows():
                return self._sent(order)
            case Publish(topic, messages.ERROR, (context, text)):
                return {"what": "error", "query": context[2], "topic": topic, "text": text}
        return None

    def _sent(self, order: PublishRows) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "what": "sent",
            "query": order.query_id,
            "change": order.context.change,
            "rows": len(order.rows),
        }
        if self._level == "full":
            names = [column.name for column in order.columns]
            kinds = [column.type for column in order.columns]
            facts["values"] = [
                {
                    name: to_json(kind or type_of_value(value), value)
                    for name, kind, value in zip(names, kinds, row, strict=True)
                }
                for row in order.rows
            ]
        return facts
