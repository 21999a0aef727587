"""Zeek's JSON, both ways: the names that the rest of the agent needs."""

from zeek_agent_core.broker.decoding import Ack, Complaint, Message, decode_frame
from zeek_agent_core.broker.encoding import encode_event, encode_subscriptions
from zeek_agent_core.broker.rows import Frames, RowEncoder, compile_row_encoder, row_prefix
from zeek_agent_core.broker.rules import OLDEST, Rules, peer, rules_for

__all__ = [
    "OLDEST",
    "Ack",
    "Complaint",
    "Frames",
    "Message",
    "RowEncoder",
    "Rules",
    "compile_row_encoder",
    "decode_frame",
    "encode_event",
    "encode_subscriptions",
    "peer",
    "row_prefix",
    "rules_for",
]
