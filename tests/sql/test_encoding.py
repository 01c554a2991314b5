"""Text that is not UTF-8 is refused in the words of a real server."""

import psycopg
import pytest

from shardproxy.errors import StatementError
from shardproxy.sql.encoding import decode
from tests.support.cluster import Cluster


def test_utf8_is_decoded() -> None:
    assert decode("SELECT 'é€😀'".encode()) == "SELECT 'é€😀'"


@pytest.mark.parametrize(
    "text",
    [
        b"\xff",
        b"\x80 lone continuation",
        b"\xc3( short of two",
        b"\xc0\xaf overlong",
        b"\xe2\x82( short of three",
        b"\xe2(( short of three",
        b"\xed\xa0\x80 surrogate",
        b"\xf0\x9f\x98( short of four",
        b"\xf4\x90\x80\x80 beyond Unicode",
        b"\xf8\x88\x80\x80\x80 five",
        b"\xc3\xa9 good, then \xe9t\xe9",
    ],
)
def test_what_is_not_utf8_is_refused_as_the_server_does(cluster: Cluster, text: bytes) -> None:
    with pytest.raises(StatementError) as ours:
        decode(text)
    with psycopg.connect(cluster.oracle_dsn()) as connection:
        result = connection.pgconn.exec_(b"SELECT '" + text + b"'")
        sqlstate = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
        message = result.error_field(psycopg.pq.DiagnosticField.MESSAGE_PRIMARY)
    assert (ours.value.sqlstate.encode(), ours.value.message.encode()) == (sqlstate, message)
