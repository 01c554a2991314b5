import pytest

from shardproxy.console.commands import (
    ADMINS_HELP,
    HELP,
    AbortMove,
    Command,
    MoveTenants,
    Reload,
    ResumeMove,
    Show,
    View,
    parse,
)
from shardproxy.errors import StatementError


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("SHOW POOLS", Show(View.POOLS)),
        ("  show\n clients ; ", Show(View.CLIENTS)),
        ("SHOW TENANTS", Show(View.TENANTS)),
        ("SHOW TENANTS LIMIT 5;", Show(View.TENANTS, 5)),
        ("MOVE TENANT 'acme' TO 'shard-c'", MoveTenants(("acme",), "shard-c")),
        ("move tenant'a','o''hara' , '--to' to 'b';", MoveTenants(("a", "o'hara", "--to"), "b")),
        ("RESUME MOVE 17", ResumeMove(17)),
        ("ABORT MOVE 2147483647", AbortMove(2147483647)),
        ("reload", Reload()),
        ("", None),
        (" ;; ", None),
    ],
)
def test_what_can_be_said(text: str, command: Command | None) -> None:
    assert parse(text) == command


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("SELECT 1", "this is no command of the console", 0),
        ("SHOW", "this is no command of the console", 0),
        ("SHOW TABLES", "this is no command of the console", 0),
        ("SHOW POOLS now", 'syntax error at or near "now"', 12),
        ("SHOW POOLS; SHOW POOLS", 'syntax error at or near ";"', 11),
        ("SHOW TENANTS LIMIT", "syntax error at end of input", 19),
        ("SHOW TENANTS LIMIT 0", 'syntax error at or near "0"', 20),
        ("SHOW TENANTS LIMIT 99999999999", 'syntax error at or near "99999999999"', 20),
        ("MOVE acme", 'syntax error at or near "acme"', 6),
        ("MOVE TENANT acme TO 'b'", 'syntax error at or near "acme"', 13),
        ("MOVE TENANT 'a' 'b'", "syntax error at or near \"'b'\"", 17),
        ("MOVE TENANT 'a' TO", "syntax error at end of input", 19),
        ("MOVE TENANT 'a", 'syntax error at or near "\'"', 13),
        ("RESUME MOVE -1", 'syntax error at or near "-"', 13),
        ("RELOAD 1", 'syntax error at or near "1"', 8),
        ("\0", "this is no command of the console", 0),
    ],
)
def test_what_cannot_be_said_is_pointed_at(text: str, message: str, position: int) -> None:
    with pytest.raises(StatementError) as raised:
        parse(text)
    assert (raised.value.message, raised.value.position) == (message, position)
    assert raised.value.sqlstate == "42601"
    assert raised.value.hint


def test_help_is_complete_and_true() -> None:
    for said, _ in (*HELP, *ADMINS_HELP):
        plain = said.replace("[, 'b']", ", 'b'").replace("[LIMIT n]", "LIMIT 1").replace(" n", " 1")
        assert parse(plain) is not None, said
    assert {said.split()[1] for said, _ in HELP} == set(View)
