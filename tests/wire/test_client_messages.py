"""What clients send: parsers undo builders, and malformed bodies are refused in PostgreSQL's words."""

import struct

import pytest

from shardproxy.errors import Blame, ProtocolViolation
from shardproxy.wire import client_messages as msg


def body(message: bytes) -> bytes:
    """The body of the only message in ``message``, whose length word must be right."""
    assert struct.unpack_from("!i", message, 1)[0] == len(message) - 1
    return message[5:]


def test_bytes_on_the_wire_are_those_of_the_manual() -> None:
    assert msg.query(b"SELECT 1") == b"Q\0\0\0\x0dSELECT 1\0"
    assert msg.parse(b"s", b"SELECT $1", [23]) == b"P\0\0\0\x16s\0SELECT $1\0\0\1\0\0\0\x17"
    assert msg.bind(b"", b"s", [1], [b"\0\0\0\7", None], [0]) == (
        b"B\0\0\0\x1d\0s\0\0\1\0\1\0\2\0\0\0\4\0\0\0\7\xff\xff\xff\xff\0\1\0\0"
    )
    assert msg.describe(b"S", b"s") == b"D\0\0\0\7Ss\0"
    assert msg.execute(b"", 5) == b"E\0\0\0\x09\0\0\0\0\5"
    assert msg.close(b"P", b"p") == b"C\0\0\0\7Pp\0"
    assert msg.copy_fail("no") == b"f\0\0\0\7no\0"
    assert msg.SSL_REQUEST == b"\0\0\0\x08\x04\xd2\x16\x2f"
    assert msg.GSSENC_REQUEST == b"\0\0\0\x08\x04\xd2\x16\x30"
    assert msg.cancel_request(7, b"abcd") == b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\7abcd"
    assert msg.startup({"user": "u"}, 2) == b"\0\0\0\x10\0\3\0\2user\0u\0\0"


def test_parsers_undo_builders() -> None:
    assert msg.parse_query(body(msg.query("é".encode()))) == "é".encode()
    assert msg.parse_parse(body(msg.parse(b"n", b"", [0, 4294967295]))) == (b"n", b"", (0, 4294967295))
    assert msg.parse_describe(body(msg.describe(b"P", b"x"))) == (b"P", b"x")
    assert msg.parse_close(body(msg.close(b"S", b""))) == (b"S", b"")
    assert msg.parse_execute(body(msg.execute(b"p", -1))) == (b"p", -1)
    assert msg.parse_copy_fail(body(msg.copy_fail("why"))) == "why"
    assert msg.parse_password(body(msg.password_message("geheim"))) == b"geheim"
    assert msg.parse_sasl_initial_response(body(msg.sasl_initial_response("M", b"x"))) == ("M", b"x")
    assert msg.parse_sasl_initial_response(b"M\0\xff\xff\xff\xff") == ("M", None)


@pytest.mark.parametrize("formats", [(), (1,), (0, 1, 1)])
@pytest.mark.parametrize("result_formats", [(), (1,), (0, 1)])
def test_bind_keeps_values_and_formats(formats: tuple[int, ...], result_formats: tuple[int, ...]) -> None:
    values = (b"", None, b"\0\xff")
    bind = msg.parse_bind(body(msg.bind(b"p", b"s", formats, values, result_formats)))
    assert bind == (b"p", b"s", formats, values, result_formats)


def test_bind_with_the_most_parameters_the_protocol_can_count() -> None:
    values = [b"x"] * 65_535
    assert len(msg.parse_bind(body(msg.bind(b"", b"", [1] * 65_535, values)))[3]) == 65_535


def test_renaming_changes_the_statement_name_and_nothing_else() -> None:
    original = msg.bind(b"portal", b"old", [1], [b"\0\0", None], [1, 0])
    assert msg.rename_statement(body(original), b"a_longer_name") == msg.bind(
        b"portal", b"a_longer_name", [1], [b"\0\0", None], [1, 0]
    )
    assert msg.rename_statement(body(original), b"") == msg.bind(b"portal", b"", [1], [b"\0\0", None], [1, 0])
    assert msg.rename_parse(body(msg.parse(b"", b"SELECT 1", [23])), b"s1") == msg.parse(
        b"s1", b"SELECT 1", [23]
    )


REWINDING = b"\0\0\0\1\0\3\0\1\xff\xff\xff\xf8"
"""A negative length that, believed, leads back to bytes already read, and from there exactly to the end."""

BIND = body(msg.bind(b"p", b"s", [1], [b"abc"], [1]))


@pytest.mark.parametrize(
    ("parser", "malformed", "complaint"),
    [
        (msg.parse_query, b"", "invalid string in message"),
        (msg.parse_query, b"SELECT 1", "invalid string in message"),
        (msg.parse_query, b"SELECT 1\0; DROP TABLE t\0", "invalid message format"),
        (msg.parse_query, b"SELECT 1\0\0", "invalid message format"),
        (msg.parse_parse, b"name", "invalid string in message"),
        (msg.parse_parse, b"\0SELECT 1\0", "insufficient data left in message"),
        (msg.parse_parse, b"\0SELECT 1\0\0\2\0\0\0\1", "insufficient data left in message"),
        (msg.parse_parse, b"\0SELECT 1\0\0\0x", "invalid message format"),
        (msg.parse_parse, b"\0SELECT 1\0; DROP TABLE t\0\0\0", "insufficient data left in message"),
        (msg.parse_bind, b"", "invalid string in message"),
        (msg.parse_bind, b"p\0s", "invalid string in message"),
        (msg.parse_bind, b"p\0s\0", "insufficient data left in message"),
        (msg.parse_bind, BIND[:-1], "insufficient data left in message"),
        (msg.parse_bind, BIND + b"\0", "invalid message format"),
        (msg.parse_bind, b"\0\0\0\0\0\1\xff\xff\xff\xfe\0\0", "insufficient data left in message"),
        (msg.parse_bind, REWINDING, "insufficient data left in message"),
        (msg.parse_bind, b"\0\0\0\0\0\1\x7f\xff\xff\xff\0\0", "insufficient data left in message"),
        (
            msg.parse_bind,
            body(msg.bind(b"", b"", [0, 1], [b"x"])),
            "bind message has 2 parameter formats but 1 parameters",
        ),
        (msg.parse_describe, b"", "no data left in message"),
        (msg.parse_describe, b"Xname\0", "invalid DESCRIBE message subtype 88"),
        (msg.parse_describe, b"Sname\0\0", "invalid message format"),
        (msg.parse_close, b"Xname\0", "invalid CLOSE message subtype 88"),
        (msg.parse_execute, b"p\0\0\0\0", "insufficient data left in message"),
        (msg.parse_execute, b"p\0\0\0\0\0\0", "invalid message format"),
        (msg.parse_empty, b"x", "invalid message format"),
        (msg.parse_password, b"a\0b\0", "invalid password packet size"),
        (msg.parse_sasl_initial_response, b"M\0\xff\xff\xff\xfe", "insufficient data left in message"),
        (msg.parse_sasl_initial_response, b"M\0\0\0\0\5abcd", "insufficient data left in message"),
        (lambda b: msg.rename_statement(b, b"x"), b"no end", "invalid string in message"),
        (lambda b: msg.rename_statement(b, b"x"), b"one\0end", "invalid string in message"),
        (lambda b: msg.rename_parse(b, b"x"), b"no end", "invalid string in message"),
    ],
)
def test_malformed_bodies_are_refused_in_postgresqls_words(parser, malformed: bytes, complaint: str) -> None:
    with pytest.raises(ProtocolViolation) as raised:
        parser(malformed)
    assert raised.value.message == complaint
    assert raised.value.sqlstate == "08P01"
    assert raised.value.blame is Blame.CLIENT


def test_a_name_with_nul_is_never_sent() -> None:
    with pytest.raises(ValueError, match="NUL"):
        msg.parse(b"a\0b", b"SELECT 1")
    with pytest.raises(ValueError, match="NUL"):
        msg.startup({"user": "a\0database\0b"})
