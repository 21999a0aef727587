"""Pure: why a connection ended, from the codes and bytes that were its last."""

from zeek_agent_core.broker.transport import Lost, Reason

GOING_AWAY, INVALID_DATA, REFUSED, TROUBLE = 1001, 1007, 1008, 1011
TRY_LATER = frozenset({429, 502, 503, 504})
"""HTTP replies of a proxy whose Zeek is not there now."""
FULL = (
    "accepted and closed at once: its listener is full (Zeek takes 100 clients), or wants TLS "
    "(zeek.tls), or another client certificate"
)
WANTS_TLS = 'the server speaks TLS; set zeek.tls = "verify" or "anonymous", or write wss://'
NO_WEBSOCKET = "this is no WebSocket server of Zeek's"


def closed_by_server(code: int, text: str, sent: str = "") -> Lost:
    """Return what a close frame with *code* means; *sent* is what was sent last."""
    shown = f"closed by the server: {code} {text}".rstrip()
    if code == GOING_AWAY:
        return Lost(Reason.GOING_DOWN, shown)
    if code == REFUSED:
        return Lost(Reason.MISCONFIGURED, shown)
    if code == TROUBLE and "ping" in text.lower():
        return Lost(Reason.OVERRUN, f"{shown}; the server could not keep up")
    if code == INVALID_DATA:
        return Lost(Reason.BROKEN, f"{shown}; last sent was {sent or 'nothing'}")
    return Lost(Reason.CLOSED if code == 1000 else Reason.BROKEN, shown)  # noqa: PLR2004


def without_upgrade(head: bytes) -> Lost | None:
    """Return what the first bytes of a reply say; None where they may yet be a good one."""
    if head[:1] == b"\x15":
        return Lost(Reason.MISCONFIGURED, WANTS_TLS)
    if not b"HTTP/1.".startswith(head[:7]):
        return Lost(Reason.MISCONFIGURED, f"{NO_WEBSOCKET}: it answers {head[:20]!r}")
    line, is_whole, _ = head.partition(b"\n")
    words = line.split()
    if not is_whole or (len(words) > 1 and words[1] == b"101"):
        return None
    status = words[1].decode("ascii", "replace")[:3] if len(words) > 1 else ""
    shown = line.strip().decode("ascii", "replace")[:80]
    if status.isdigit() and int(status) in TRY_LATER:
        return Lost(Reason.REFUSED, f"the server answers {shown}")
    return Lost(Reason.MISCONFIGURED, f"{NO_WEBSOCKET}, or has another path: it answers {shown}")
