"""The allow-list of startup settings, and the client encodings a lexer can trust."""

import psycopg
import pytest

from shardproxy.wire.settings import SESSION_SETTINGS, is_safe_encoding, is_session_setting

LEFT_OUT = {
    "exit_on_error",
    "local_preload_libraries",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
    "wal_sender_timeout",
}


@pytest.mark.parametrize(
    "name", ["work_mem", "datestyle", "timezone", "role", "shardproxy.tenant", "a.b.c_1$"]
)
def test_accepted_names(name: str) -> None:
    assert is_session_setting(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a.",
        ".b",
        "a b.c",
        "a.b;",
        "a.b\n",
        "1a.b",
        "a.é",
        "log_statement",
        "session_authorization",
        "WORK_MEM",
    ],
)
def test_refused_names(name: str) -> None:
    assert not is_session_setting(name)


def test_every_setting_a_user_may_change_is_accepted_or_left_out_on_purpose(live: psycopg.Connection) -> None:
    rows = live.execute("SELECT lower(name) FROM pg_settings WHERE context = 'user' AND name NOT LIKE '%.%'")
    theirs = {name for (name,) in rows if not name.startswith(("debug_", "trace_"))}
    assert theirs - SESSION_SETTINGS == LEFT_OUT & theirs
    assert not LEFT_OUT & SESSION_SETTINGS


def test_no_setting_on_the_list_needs_more_rights_on_any_server(live: psycopg.Connection) -> None:
    rows = live.execute("SELECT lower(name) FROM pg_settings WHERE context <> 'user'")
    assert not {name for (name,) in rows} & SESSION_SETTINGS


@pytest.mark.parametrize(
    "name", ["UTF8", "utf-8", "'utf-8'", "Unicode", "LATIN1", "SQL_ASCII", "win1252", "EUC_JP"]
)
def test_safe_encodings(name: str) -> None:
    assert is_safe_encoding(name)


@pytest.mark.parametrize(
    "name", ["SJIS", "Shift_JIS", "big5", "GBK", "gb18030", "UHC", "JOHAB", "win932", "bogus", ""]
)
def test_unsafe_encodings(name: str) -> None:
    assert not is_safe_encoding(name)


def test_the_encodings_agree_with_the_server(live: psycopg.Connection) -> None:
    """Encodings a database can have keep ASCII bytes out of other characters; the other encodings do not."""
    rows = live.execute(
        "SELECT n, pg_encoding_to_char(n) FROM generate_series(0, 60) n WHERE pg_encoding_to_char(n) <> ''"
    ).fetchall()
    client_only = {"SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004"}
    assert client_only < {name for _, name in rows}
    for _, name in rows:
        assert is_safe_encoding(name) == (name not in client_only), name
