"""A server's refusal as our error: its SQLSTATE always, its words only once we know who it is."""

import pytest

from shardproxy.errors import Blame, LoginFailed, Unavailable
from shardproxy.wire.login_errors import login_error


@pytest.mark.parametrize("state", ["28P01", "28000", "3D000", "42501", "42704", "22023", "0A000", "08P01"])
def test_a_login_that_is_wrong_in_itself(state: str) -> None:
    error = login_error({"C": state, "M": "no"}, "app", "shop", authenticated=True)
    assert isinstance(error, LoginFailed)
    assert (error.sqlstate, error.blame) == (state, Blame.SERVER)


@pytest.mark.parametrize("state", ["53300", "57P01", "57P03", "55000", "58000", "XX000", "08006"])
def test_a_login_that_may_succeed_later(state: str) -> None:
    error = login_error({"C": state, "M": "not now"}, "app", "shop", authenticated=True)
    assert isinstance(error, Unavailable)
    assert (error.sqlstate, error.message) == (state, "not now")


@pytest.mark.parametrize(
    "fields", [{}, {"C": ""}, {"C": "abc"}, {"C": "00000"}, {"C": "28P0\u0661"}, {"M": ""}]
)
def test_errors_without_a_usable_sqlstate_or_message(fields: dict[str, str]) -> None:
    for authenticated in (True, False):
        error = login_error(fields, "app", "shop", authenticated)
        assert isinstance(error, Unavailable)
        assert error.sqlstate == "08006"
        assert error.message


def test_before_authentication_the_words_are_ours_and_the_servers_are_a_note() -> None:
    fields = {"S": "FATAL", "C": "28P01", "M": "visit evil.example", "D": "evil", "H": "evil"}
    error = login_error(fields, "{user}", "shop", authenticated=False)
    assert error.message == 'password authentication failed for user "{user}"'
    assert (error.detail, error.hint) == (None, None)
    assert "evil.example" in error.__notes__[0]
    unknown = login_error({**fields, "C": "2F000"}, "app", "shop", authenticated=False)
    assert unknown.message == "the server refused the login (SQLSTATE 2F000)"
