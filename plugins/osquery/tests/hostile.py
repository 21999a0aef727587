"""A server in osquery's place that answers with whatever bytes a test gives it."""

import socket
import struct
import threading
from contextlib import contextmanager

from osquery.extensions import ExtensionManager
from osquery.extensions.ttypes import ExtensionResponse, ExtensionStatus
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TMessageType
from thrift.transport.TTransport import TMemoryBuffer

DONE = ExtensionStatus(code=0, message="OK")


class RawProtocol(TBinaryProtocol):
    """Thrift's protocol, with strings that may be any bytes."""

    def writeString(self, value):
        """Write text, or bytes as they are."""
        self.writeBinary(value if isinstance(value, bytes) else value.encode())


def reply(rows, sequence, *, method="query", status=DONE, kind=TMessageType.REPLY):
    """Return the bytes of an answer, as the published package writes it."""
    memory = TMemoryBuffer()
    protocol = RawProtocol(memory)
    protocol.writeMessageBegin(method, kind, sequence)
    result = getattr(ExtensionManager, f"{method}_result")
    result(success=ExtensionResponse(status=status, response=rows)).write(protocol)
    protocol.writeMessageEnd()
    return memory.getvalue()


def parsed(request):
    """Return the method and the sequence number of a call."""
    size = struct.unpack_from(">I", request, 4)[0]
    return request[8 : 8 + size].decode(), struct.unpack_from(">i", request, 8 + size)[0]


@contextmanager
def serving(path, answer):
    """Listen at *path*; ``answer(connection, method, sequence)`` acts on each call."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    made = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            made.append(connection)
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection):
        try:
            while request := connection.recv(1 << 20):
                answer(connection, *parsed(request))
        except OSError:
            pass
        finally:
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in made:
            connection.close()
        thread.join(5)
