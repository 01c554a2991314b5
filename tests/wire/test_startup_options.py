"""The options parameter; each case's answer is PostgreSQL's (test_startup_live.py asks it)."""

import pytest

from shardproxy.errors import LoginFailed
from shardproxy.wire.startup_options import parse_options, split_options

ACCEPTED = {
    "": {},
    "  ": {},
    "-c application_name=x": {"application_name": "x"},
    "-capplication_name=x": {"application_name": "x"},
    "--application-name=x": {"application_name": "x"},
    "--application_name=": {"application_name": ""},
    r"-c application_name=a\ b\\c": {"application_name": r"a b\c"},
    "-c application_name=a\\": {"application_name": "a"},
    "-c application_name='q'": {"application_name": "'q'"},
    "-c APPLICATION_NAME=a=b": {"application_name": "a=b"},
    " -c\tapplication_name=a  -c\napplication_name=b": {"application_name": "b"},
}

REFUSED = {
    "-c nothing": "-c nothing requires a value",
    "--nothing": "--nothing requires a value",
    "-c application_name =x": "-c application_name requires a value",
    "foo": "invalid command-line argument for server process: foo",
    "-x": "invalid command-line argument for server process: -x",
    "-": "invalid command-line argument for server process: -",
    "-c": "invalid command-line argument for server process: -c",
    "\\": "invalid command-line argument for server process: ",
}


@pytest.mark.parametrize("options", ACCEPTED)
def test_settings_named_by_options(options: str) -> None:
    assert parse_options(options) == ACCEPTED[options]


@pytest.mark.parametrize("options", REFUSED)
def test_options_postgresql_refuses_are_refused_in_its_words(options: str) -> None:
    with pytest.raises(LoginFailed) as raised:
        parse_options(options)
    assert (raised.value.sqlstate, raised.value.message) == ("42601", REFUSED[options])


@pytest.mark.parametrize("options", ["-W 60", "-e", "-d 5", "-S 4MB", "--"])
def test_other_switches_of_the_server_program_are_refused_though_postgresql_takes_them(options: str) -> None:
    with pytest.raises(LoginFailed, match="invalid command-line argument"):
        parse_options(options)


def test_words_are_split_at_white_space_that_no_backslash_precedes() -> None:
    assert split_options("a\\\tb c\\\\ d") == ["a\tb", "c\\", "d"]
