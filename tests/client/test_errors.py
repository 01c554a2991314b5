import asyncpg
import pytest

from shardproxy.client.errors import (
    REFUSAL_PREFIX,
    Refused,
    Unavailable,
    WrongTenant,
    translated,
    translated_connect,
)
from shardproxy.errors import Refused as RefusedByProxy


def server_error(sqlstate: str, message: str, **fields: str) -> asyncpg.PostgresError:
    """What asyncpg makes of an ErrorResponse."""
    return asyncpg.PostgresError.new({"S": "ERROR", "C": sqlstate, "M": message, **fields})


def raised(error: Exception) -> asyncpg.PostgresError:
    with pytest.raises(asyncpg.PostgresError) as caught, translated():
        raise error
    return caught.value


def test_a_refusal_has_its_construct_hint_and_position() -> None:
    error = raised(
        server_error("0A000", REFUSAL_PREFIX + "GROUP BY without the sharding key", H="name it", P="15")
    )
    assert type(error) is Refused
    assert (error.construct, error.hint, error.position) == (
        "GROUP BY without the sharding key",
        "name it",
        "15",
    )
    assert error.sqlstate == "0A000"
    assert isinstance(error.__cause__, asyncpg.FeatureNotSupportedError)


def test_the_prefix_is_the_one_the_proxy_writes() -> None:
    assert str(RefusedByProxy("x")) == REFUSAL_PREFIX + "x"


def test_another_tenants_key_is_wrong_tenant_and_a_refusal() -> None:
    error = raised(server_error("42501", REFUSAL_PREFIX + "the key of another tenant"))
    assert type(error) is WrongTenant
    assert isinstance(error, Refused)


@pytest.mark.parametrize(
    ("sqlstate", "message"),
    [
        ("0A000", "cross-database references are not implemented"),
        ("42501", "permission denied for table orders"),
    ],
)
def test_the_servers_own_errors_stay_asyncpgs(sqlstate: str, message: str) -> None:
    original = server_error(sqlstate, message)
    assert raised(original) is original


@pytest.mark.parametrize(
    ("sqlstate", "in_doubt"),
    [("08006", True), ("57P01", True), ("57P03", False), ("53300", False), ("08001", False)],
)
def test_a_shard_that_is_away_is_unavailable_and_says_whether_a_retry_is_safe(
    sqlstate: str, in_doubt: bool
) -> None:
    error = raised(server_error(sqlstate, "away"))
    assert isinstance(error, Unavailable)
    assert (error.sqlstate, error.in_doubt) == (sqlstate, in_doubt)


def test_a_connection_lost_in_the_middle_is_in_doubt() -> None:
    error = raised(asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"))
    assert isinstance(error, Unavailable)
    assert error.in_doubt


def test_a_protocol_violation_is_not_unavailable() -> None:
    assert not isinstance(raised(server_error("08P01", "bad message")), Unavailable)


def test_translating_twice_changes_nothing() -> None:
    with pytest.raises(Refused) as caught, translated(), translated():
        raise server_error("0A000", REFUSAL_PREFIX + "x")
    assert isinstance(caught.value.__cause__, asyncpg.FeatureNotSupportedError)


def test_a_time_limit_is_not_unavailable() -> None:
    with pytest.raises(TimeoutError), translated_connect():
        raise TimeoutError
