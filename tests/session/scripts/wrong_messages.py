"""Messages that are wrong, or come where they should not."""

from shardproxy.wire.client_messages import SYNC, message
from tests.session.scripts.vocabulary import add, q
from tests.support.wire_client import Step

add("unknown message type", Step(message(b"y", b"what"), "Z"))
add("unknown message type in a block", q("BEGIN"), Step(message(b"\x01", b""), "Z"))
add("query without its NUL", Step(message(b"Q", b"SELECT 1"), "Z"), q("SELECT 1"))
add("parse that is too short", message(b"P", b"s\0SELECT 1\0") + SYNC)
add("bind that is too short", message(b"B", b"\0") + SYNC)
add("describe of nothing known", message(b"D", b"Xs\0") + SYNC)
add("close of nothing known", message(b"C", b"Xs\0") + SYNC)
add("sync with a body", Step(message(b"S", b"x"), "Z"), q("SELECT 1"))
add("length too small", Step(b"Q\0\0\0\3", "Z"))
add("length negative", Step(b"Q\xff\xff\xff\xff", "Z"))
