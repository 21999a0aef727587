"""An osquery for tests: its extension manager, served by the published package from data.

``python standin.py SOCKET DATA`` reads the JSON file DATA, again whenever it has
changed, and appends each call to DATA.log:

- ``tables``: by name ``columns`` (name, type, op), ``rows``, and ``routes``: what
  else the action `columns` tells
- ``info``: the row of `osquery_info`
- ``behaviour``: by the name of a table, what a query on it does instead:
  ``sleep`` so many seconds first, ``fail`` with a message, ``raise``, ``exit``
"""

import json
import logging
import os
import re
import sqlite3
import sys
import threading
import time
from pathlib import Path

from osquery.extensions.ExtensionManager import Iface, Processor
from osquery.extensions.ttypes import ExtensionResponse, ExtensionStatus
from thrift.protocol.TBinaryProtocol import TBinaryProtocol, TBinaryProtocolFactory
from thrift.server.TServer import TThreadedServer
from thrift.transport.TSocket import TServerSocket
from thrift.transport.TTransport import TBufferedTransportFactory

REQUIRED = 2
OWN = {
    "osquery_info": ["pid", "uuid", "instance_id", "version", "start_time"],
    "osquery_registry": ["registry", "name", "active"],
}
INSTANCE = os.urandom(4).hex()


def ok(rows):
    """Return a response with *rows*."""
    return ExtensionResponse(status=ExtensionStatus(code=0, message="OK"), response=rows)


def refused(message):
    """Return a response that says why there are no rows."""
    return ExtensionResponse(status=ExtensionStatus(code=1, message=message), response=[])


def shown(value):
    """Return a value as osquery would: text, empty for NULL; bytes as they are."""
    return "" if value is None else value if isinstance(value, str | bytes) else str(value)


class Protocol(TBinaryProtocol):
    """Thrift's protocol, with strings that may be any bytes, as osquery's are."""

    def writeString(self, value):
        """Write text, or bytes as they are."""
        self.writeBinary(value if isinstance(value, bytes) else value.encode())


class Protocols(TBinaryProtocolFactory):
    """Makes a protocol for each connection."""

    def getProtocol(self, transport):
        """Return one."""
        return Protocol(transport)


class Data:
    """The data, in SQLite."""

    def __init__(self, path):
        self.path = path
        self.stamp = None
        self.lock = threading.Lock()
        self.tables = {}

    def load(self):
        """Read the file again if it has changed."""
        stamp = self.path.stat().st_mtime_ns
        if stamp == self.stamp:
            return
        self.stamp = stamp
        given = json.loads(self.path.read_text())
        self.behaviour = given.get("behaviour", {})
        self.tables = given["tables"]
        self.db = sqlite3.connect(":memory:", check_same_thread=False)
        for name, table in self.tables.items():
            self._create(name, table["columns"], table["rows"])
        info = {"pid": os.getpid(), "instance_id": INSTANCE, **given.get("info", {})}
        names = OWN["osquery_info"]
        self._create("osquery_info", [[n, "TEXT"] for n in names], [[info.get(n) for n in names]])
        listed = [["table", name, 1] for name in (*self.tables, *OWN)]
        columns = [["registry", "TEXT"], ["name", "TEXT"], ["active", "INTEGER"]]
        self._create("osquery_registry", columns, listed)

    def _create(self, name, columns, rows):
        declared = ", ".join(f'"{column[0]}" {column[1]}' for column in columns)
        self.db.execute(f'CREATE TABLE "{name}" ({declared})')
        marks = ", ".join("?" * len(columns))
        plain = [[decoded(value) for value in row] for row in rows]
        self.db.executemany(f'INSERT INTO "{name}" VALUES ({marks})', plain)


def decoded(value):
    """Return a value of the file: ``{"hex": ...}`` are bytes."""
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


class Manager(Iface):
    """Osquery's side of the service."""

    def __init__(self, data):
        self.data = data

    def _note(self, *call):
        with self.data.lock, self.data.path.with_suffix(".log").open("a") as log:
            log.write(json.dumps(call) + "\n")

    def ping(self):
        """Answer that all is well."""
        return ExtensionStatus(code=0, message="OK")

    def query(self, sql):
        """Answer from the data."""
        self._note("query", sql)
        with self.data.lock:
            self.data.load()
        named = re.search(r'FROM "?(\w+)', sql)
        self._misbehave(self.data.behaviour.get(named[1] if named else "", {}))
        message = self.data.behaviour.get(named[1] if named else "", {}).get("fail")
        if message:
            return refused(message)
        if self._lacks_condition(named[1] if named else "", sql):
            return ok([])
        try:
            with self.data.lock:
                cursor = self.data.db.execute(sql)
                names = [column[0] for column in cursor.description]
                return ok([dict(zip(names, map(shown, row), strict=True)) for row in cursor])
        except sqlite3.Error as error:
            return refused(str(error))

    def _misbehave(self, behaviour):
        time.sleep(behaviour.get("sleep", 0))
        if behaviour.get("raise"):
            raise RuntimeError(behaviour["raise"])
        if behaviour.get("exit"):
            os._exit(1)

    def _lacks_condition(self, table, sql):
        """Return whether no column has a condition of those one of which must; there is no row."""
        columns = self.data.tables.get(table, {"columns": []})["columns"]
        condition = sql.partition(" WHERE ")[2]
        needed = [c[0] for c in columns if len(c) > 2 and int(c[2]) & REQUIRED]
        return bool(needed) and not any(f'"{name}"' in condition for name in needed)

    def getQueryColumns(self, sql):
        """Tell the columns of a statement, with their declared types."""
        self._note("getQueryColumns", sql)
        with self.data.lock:
            self.data.load()
            try:
                names = [c[0] for c in self.data.db.execute(sql).description]
            except sqlite3.Error as error:
                return refused(str(error))
        types = {c[0]: c[1] for t in self.data.tables.values() for c in t["columns"]}
        return ok([{name: types.get(name, "TEXT")} for name in names])

    def call(self, registry, item, request):
        """Tell the columns of a table."""
        self._note("call", registry, item, request)
        with self.data.lock:
            self.data.load()
        if registry != "table" or request.get("action") != "columns":
            return refused("unknown action")
        if item in OWN:
            return ok([{"id": "column", "name": n, "type": "TEXT", "op": "0"} for n in OWN[item]])
        if item not in self.data.tables:
            return refused(f"no such table: {item}")
        table = self.data.tables[item]
        columns = [
            {"id": "column", "name": c[0], "type": c[1], "op": str(c[2]) if len(c) > 2 else "0"}
            for c in table["columns"]
        ]
        return ok(columns + table.get("routes", []))


def main():
    """Serve until killed."""
    socket, data = sys.argv[1], Data(Path(sys.argv[2]))
    logging.getLogger("thrift").addHandler(logging.NullHandler())
    server = TThreadedServer(
        Processor(Manager(data)),
        TServerSocket(unix_socket=socket),
        TBufferedTransportFactory(),
        Protocols(),
        daemon=True,
    )
    server.serve()


if __name__ == "__main__":
    main()
