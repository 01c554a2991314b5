"""Passwords from the file, from other files and from the environment."""

from pathlib import Path

import pytest

from shardproxy.config.load import Loaded
from shardproxy.secret import Secret
from tests.config.conftest import GOOD, Reader


def with_server(option: str) -> str:
    return GOOD.replace("{user: app}", f"{{user: app, {option}}}")


def server_password(loaded: Loaded) -> Secret | None:
    assert loaded.mistakes == ()
    assert loaded.config is not None
    return loaded.config.server.password


def test_in_the_configuration(read_yaml: Reader) -> None:
    assert server_password(read_yaml(with_server("password: 0123"))) == Secret("0123")


def test_in_the_environment(read_yaml: Reader) -> None:
    assert server_password(read_yaml(with_server("password_env: PW"), {"PW": " x "})) == Secret(" x ")


def test_in_a_file_beside_the_configuration(read_yaml: Reader) -> None:
    Path("pw").write_text("sesame street\n")
    Path("pw").chmod(0o600)
    loaded = read_yaml(with_server("password_file: pw"))
    assert server_password(loaded) == Secret("sesame street")
    assert loaded.warnings == ()


def test_in_a_file_that_everyone_can_read(read_yaml: Reader) -> None:
    Path("pw").write_text("sesame")
    Path("pw").chmod(0o644)
    (warning,) = read_yaml(with_server("password_file: pw")).warnings
    assert str(warning) == (
        "shardproxy.yaml:3:36: server.password_file: everyone can read pw; run: chmod o-r pw"
    )


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb\n", b"a\0", b"\xff", b"x" * 5000])
def test_a_file_that_is_not_one_line_of_text(mistakes: Reader, content: bytes) -> None:
    Path("pw").write_bytes(content)
    (mistake,) = mistakes(with_server("password_file: pw"))
    assert "server.password_file: pw must hold the password as its only line" in mistake


def test_a_directory_is_no_password(mistakes: Reader) -> None:
    Path("pw").mkdir()
    (mistake,) = mistakes(with_server("password_file: pw"))
    assert "server.password_file: " in mistake


def test_an_empty_variable_is_no_password(mistakes: Reader) -> None:
    (mistake,) = mistakes(with_server("password_env: PW"), {"PW": ""})
    assert "the environment variable PW is empty; set it to the password" in mistake


def test_users_and_shards_have_passwords_in_the_same_ways(read_yaml: Reader) -> None:
    Path("pw").write_text("one")
    text = GOOD.replace("{method: trust}", "{users: [{name: u, password_file: pw}]}")
    text = text.replace('"10.0.0.2"', "h, user: u, password_env: PW")
    loaded = read_yaml(text, {"PW": "two"})
    assert loaded.config is not None
    assert loaded.config.auth.users[0].password == Secret("one")
    assert loaded.config.shards[1].password == Secret("two")


def test_the_operators_may_be_away_until_a_command_needs_it(read_yaml: Reader) -> None:
    text = GOOD + "operator: {user: postgres, password_env: PW}\n"
    for environment, password in (({}, None), ({"PW": "x"}, Secret("x"))):
        loaded = read_yaml(text, environment)
        assert (loaded.mistakes, loaded.warnings) == ((), ())
        assert loaded.config is not None
        assert loaded.config.operator.password == password
