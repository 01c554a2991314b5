"""Reading fields: what is there comes out in order, what is not there is a violation blamed on the sender."""

import pytest

from shardproxy.errors import Blame, ProtocolViolation
from shardproxy.wire import reader
from shardproxy.wire.reader import Reader


def test_a_string_ends_at_its_nul_and_the_cursor_behind_it() -> None:
    fields = Reader(b"one\0two\0rest")
    assert (fields.string(), fields.string(), fields.at) == (b"one", b"two", 8)


def test_a_string_without_nul_is_invalid() -> None:
    with pytest.raises(ProtocolViolation, match=reader.INVALID_STRING):
        Reader(b"no end").string()


@pytest.mark.parametrize("blame", [Blame.CLIENT, Blame.SERVER])
def test_a_violation_is_blamed_on_who_sent_the_message(blame: Blame) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        Reader(b"", blame).string()
    assert caught.value.blame is blame
    assert caught.value.sqlstate == "08P01"
