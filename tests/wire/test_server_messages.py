"""What servers send: we build what PostgreSQL would send, and what servers get wrong does not hurt us."""

import pytest

from shardproxy.errors import Blame, ProtocolViolation, Refused, ShardproxyError, StatementError
from shardproxy.wire import server_messages as msg


def test_bytes_on_the_wire_are_those_of_the_manual() -> None:
    assert msg.ready_for_query(msg.READY_IDLE) == b"Z\0\0\0\5I"
    assert msg.ready_for_query(msg.READY_TRANSACTION) == b"Z\0\0\0\5T"
    assert msg.ready_for_query(msg.READY_FAILED) == b"Z\0\0\0\5E"
    assert msg.command_complete("SELECT 1") == b"C\0\0\0\x0dSELECT 1\0"
    assert msg.parameter_status("a", "b") == b"S\0\0\0\x08a\0b\0"
    assert msg.backend_key_data(7, b"abcd") == b"K\0\0\0\x0c\0\0\0\7abcd"
    assert msg.negotiate_protocol_version(2, ["_pq_.x"]) == b"v\0\0\0\x13\0\3\0\2\0\0\0\1_pq_.x\0"
    assert msg.authentication_ok() == b"R\0\0\0\x08\0\0\0\0"
    assert msg.authentication_cleartext() == b"R\0\0\0\x08\0\0\0\3"
    assert msg.authentication_md5(b"salt") == b"R\0\0\0\x0c\0\0\0\5salt"
    assert msg.authentication_sasl(["M1", "M2"]) == b"R\0\0\0\x0f\0\0\0\x0aM1\0M2\0\0"
    assert msg.authentication_sasl_continue(b"x") == b"R\0\0\0\x09\0\0\0\x0bx"
    assert msg.authentication_sasl_final(b"x") == b"R\0\0\0\x09\0\0\0\x0cx"
    assert msg.data_row(["é", None, ""]) == b"D\0\0\0\x14\0\3\0\0\0\2\xc3\xa9\xff\xff\xff\xff\0\0\0\0"
    assert msg.parameter_description([23, 25]) == b"t\0\0\0\x0e\0\2\0\0\0\x17\0\0\0\x19"


def test_an_error_carries_what_the_client_needs_and_no_empty_fields() -> None:
    error = Refused("GROUP BY without the key", hint="Add it.", detail="Two shards.", position=9)
    assert msg.error_response(error)[5:] == (
        b"SERROR\0VERROR\0C0A000\0Mshardproxy does not run this statement: GROUP BY without the key\0"
        b"DTwo shards.\0HAdd it.\0P9\0\0"
    )
    assert msg.error_response(StatementError("bad"))[5:] == b"SERROR\0VERROR\0C42601\0Mbad\0\0"
    assert msg.parse_error(msg.error_response(ProtocolViolation("x"))[5:])["S"] == "FATAL"
    assert msg.notice_response("WARNING", "01000", "careful")[:1] == b"N"
    assert msg.parse_error(msg.notice_response("WARNING", "01000", "careful")[5:]) == {
        "S": "WARNING",
        "V": "WARNING",
        "C": "01000",
        "M": "careful",
    }


def test_text_with_nul_cannot_forge_a_field() -> None:
    fields = msg.parse_error(msg.error_response(ShardproxyError("x\0C00000\0\ud800"))[5:])
    assert fields["C"] == "XX000"
    assert fields["M"] == "x\\0C00000\\0\\ud800"


def test_parsers_undo_builders() -> None:
    assert msg.parse_parameter_status(msg.parameter_status("n", "é")[5:]) == ("n", "é")
    assert msg.parse_backend_key_data(msg.backend_key_data(-5, b"k" * 256)[5:]) == (-5, b"k" * 256)
    assert msg.parse_parameter_description(msg.parameter_description([1, 2])[5:]) == (1, 2)
    assert msg.parse_command_complete(msg.command_complete("INSERT 0 3")[5:]) == "INSERT 0 3"
    assert msg.parse_ready_for_query(b"T") == msg.READY_TRANSACTION
    assert msg.parse_authentication(msg.authentication_md5(b"salt")[5:]) == (5, b"salt")
    assert msg.parse_sasl_mechanisms(msg.authentication_sasl(["A", "B"])[9:]) == ("A", "B")
    assert msg.parse_negotiate_protocol_version(msg.negotiate_protocol_version(2, ["_pq_.a"])[5:]) == (
        2,
        ("_pq_.a",),
    )
    assert msg.parse_data_row(msg.data_row(["1", None])[5:]) == (b"1", None)
    columns = (msg.Column("a"), msg.Column("b", 23, 16384, 2, 4, -1, 1))
    assert msg.parse_row_description(msg.row_description(columns)[5:]) == columns


def test_the_manuals_reading_of_the_negotiated_version_is_understood_too() -> None:
    assert msg.parse_negotiate_protocol_version(b"\0\0\0\2\0\0\0\0") == (2, ())


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", {}),
        (b"\0", {}),
        (b"M", {"M": ""}),
        (b"Mcut off", {"M": "cut off"}),
        (b"SERROR\0\0trailing", {"S": "ERROR"}),
        (b"M\xff\0\0", {"M": "\N{REPLACEMENT CHARACTER}"}),
        (b"?unknown\0\0", {"?": "unknown"}),
    ],
)
def test_errors_with_missing_or_broken_fields_are_still_read(body: bytes, fields: dict[str, str]) -> None:
    assert msg.parse_error(body) == fields


def test_positions_move_with_the_text_that_was_put_in_front() -> None:
    error = StatementError('syntax error at or near "x"', position=20)
    moved = msg.shift_error_position(msg.error_response(error), -12)
    assert moved == msg.error_response(StatementError('syntax error at or near "x"', position=8))
    assert msg.parse_error(msg.shift_error_position(moved, -100)[5:])["P"] == "1"
    assert msg.parse_error(msg.shift_error_position(moved, 1000)[5:])["P"] == "1008"


@pytest.mark.parametrize(
    "fields",
    [
        b"SERROR\0\0",
        b"P\0\0",
        b"Pabc\0\0",
        b"P12345678901\0\0",
        b"Mthe P9 in here\0\0",
        b"p5\0\0",
        b"",
        b"P1",
    ],
)
def test_messages_without_a_readable_position_pass_unchanged_or_survive(fields: bytes) -> None:
    message = b"E" + (len(fields) + 4).to_bytes(4, "big") + fields
    assert msg.shift_error_position(message, 0) == message


@pytest.mark.parametrize(
    ("parser", "body"),
    [
        (msg.parse_backend_key_data, b"\0\0\0\1abc"),
        (msg.parse_backend_key_data, b"\0\0\0\1" + b"k" * 257),
        (msg.parse_parameter_description, b"\xff\xff"),
        (msg.parse_row_description, b"\0\1name\0"),
        (msg.parse_data_row, b"\0\1\xff\xff\xff\xfe"),
        (msg.parse_ready_for_query, b"X"),
        (msg.parse_ready_for_query, b""),
        (msg.parse_command_complete, b"SELECT 1"),
        (msg.parse_authentication, b"\0"),
        (msg.parse_sasl_mechanisms, b"SCRAM-SHA-256\0"),
        (msg.parse_sasl_mechanisms, b""),
        (msg.parse_negotiate_protocol_version, b"\0\3\0\0\x7f\xff\xff\xff"),
        (msg.parse_negotiate_protocol_version, b"\0\3\0\0\xff\xff\xff\xff"),
        (msg.parse_negotiate_protocol_version, b"\0\4\0\0\0\0\0\0"),
    ],
)
def test_what_a_server_malforms_is_the_servers_fault(parser, body: bytes) -> None:
    with pytest.raises(ProtocolViolation) as raised:
        parser(body)
    assert raised.value.blame is Blame.SERVER


def test_the_shape_of_a_statement_is_what_all_servers_agree_on() -> None:
    def shape(oids: list[int], *columns: msg.Column) -> bytes:
        row = msg.row_description(columns) if columns else msg.NO_DATA
        return msg.shape_of(msg.parameter_description(oids)[5:], row)

    column = msg.Column("a", 23, table_oid=20_000, attribute=1)
    assert shape([25], column) == shape([25], column._replace(table_oid=30_000, attribute=2, format=1))
    assert shape([], column._replace(type_oid=16_400)) == shape([], column._replace(type_oid=16_500))
    assert shape([], column._replace(type_oid=16_400)) == shape([], column._replace(type_oid=2249))
    assert shape([16_400]) == shape([16_500])
    different = [
        shape([]),
        shape([25]),
        shape([25, 25]),
        shape([], column),
        shape([], column._replace(name="b")),
        shape([], column._replace(type_oid=25)),
        shape([], column._replace(type_oid=16_400)),
        shape([], column._replace(type_modifier=14)),
        shape([], column, column),
    ]
    assert len(set(different)) == len(different)


@pytest.mark.parametrize(
    ("fields", "stale"),
    [
        (b"C0A000\0Mcached plan\0RRevalidateCachedQuery\0\0", True),
        (b'C26000\0Mprepared statement "sp_00" does not exist\0\0', True),
        (b'C26000\0Mprepared statement "mine" does not exist\0\0', False),
        (b"C0A000\0Mcached plan must not change result type\0RSomethingElse\0\0", False),
        (b"C42601\0MRevalidateCachedQuery\0\0", False),
    ],
)
def test_an_error_says_that_statements_of_ours_are_stale(fields: bytes, stale: bool) -> None:
    assert msg.is_stale(b"SERROR\0" + fields) is stale
