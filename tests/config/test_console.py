"""Who may use the console, and what everybody may know who may look."""

from collections.abc import Callable

import pytest

from shardproxy.config.model import Config
from shardproxy.config.shown import shown
from shardproxy.secret import Secret
from tests.config.conftest import Reader

Mistakes = Callable[..., list[str]]

WITH_USERS = """\
database: app
auth: {users: [{name: app, password: secret}, {name: boss, password: secret}]}
server: {user: app, password: secret}
shards: [{name: a, primary: "10.0.0.1"}]
"""


@pytest.mark.parametrize(
    ("console", "expected"),
    [
        ("{admins: [nobody]}", "5:20: console.admins[0]: user 'nobody' is not in auth.users; add it there"),
        ("{readers: [app, nobody]}", "5:26: console.readers[1]: user 'nobody' is not in auth.users"),
        ("{admins: [app, app]}", "5:25: console.admins[1]: user 'app' is listed twice; keep one"),
        ("{admins: [boss], readers: [boss]}", "5:37: console.readers[0]: user 'boss' is listed twice"),
        ("{admins: boss}", "5:19: console.admins: must be a list"),
        ("{owners: [boss]}", "5:11: console.owners: is not an option"),
    ],
)
def test_a_list_of_users_is_checked(mistakes: Mistakes, console: str, expected: str) -> None:
    (found,) = mistakes(f"{WITH_USERS}console: {console}\n")
    assert found.startswith(expected)


def test_two_lists_of_users_are_good(read_yaml: Reader) -> None:
    loaded = read_yaml(f"{WITH_USERS}console: {{admins: [boss], readers: [app]}}\n")
    assert (loaded.mistakes, loaded.config is not None) == ((), True)


def test_the_consoles_name_is_no_database(mistakes: Mistakes) -> None:
    (found,) = mistakes(WITH_USERS.replace("database: app", "database: shardproxy"))
    assert found.startswith("1:11: database: 'shardproxy' is the console's name")


def test_whoever_is_trusted_can_be_an_admin(read_yaml: Reader) -> None:
    text = WITH_USERS.replace("auth: {", "auth: {method: trust, ") + "console: {admins: [anybody]}\n"
    loaded = read_yaml(text)
    assert loaded.mistakes == ()
    assert any("everybody who can connect can say to be" in str(warning) for warning in loaded.warnings)


def test_everything_is_shown_but_secrets(read_yaml: Reader) -> None:
    config = read_yaml(
        f"{WITH_USERS}placements: {{acme: a}}\noperator: {{user: o, password: secret}}\n"
    ).config
    assert config is not None
    found = dict(shown(config))
    assert {path.split(".")[0].split("[")[0] for path in found} >= set(Config.model_fields) - {
        "listen",
        "console",
        "tables",
        "trusted_functions",
    }
    assert found["placements.acme"] == "a"
    assert found["shards[0].primary.host"] == "10.0.0.1"
    assert found["designated"] is None
    assert "secret" not in found.values()
    hidden = [path for path, value in found.items() if value == str(Secret("x"))]
    assert hidden == [
        *("auth.users[0].password", "auth.users[1].password", "server.password"),
        "operator.password",
    ]
