"""Durations and sizes as PostgreSQL writes them."""

import pytest
from pydantic_core import PydanticCustomError

from shardproxy.config.model.units import DAY, GB, KB, MB, Duration, Size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("30", 30.0),
        (30, 30.0),
        (0.5, 0.5),
        ("0.5", 0.5),
        ("500ms", 0.5),
        ("250 us", 0.00025),
        ("2min", 120.0),
        ("1.5h", 5400.0),
        ("1d", DAY),
        ("0", 0.0),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert Duration(0, DAY).parse(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("64MB", 64 * MB), ("1kB", KB), ("1.5 GB", 3 * GB // 2), ("100", 100), (100, 100), ("7B", 7)],
)
def test_sizes(text: object, size: int) -> None:
    found = Size(0, 2 * GB).parse(text)
    assert found == size
    assert isinstance(found, int)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "-1s",
        "1 s 2",
        "1m",
        "1e3",
        "0x10",
        "1KB",
        "30sec",
        "٣s",
        "on",
        True,
        None,
        [],
        float("nan"),
        "1_0",
    ],
)
def test_what_is_not_a_quantity_is_refused(text: object) -> None:
    for quantity in (Duration(0, DAY), Size(0, GB)):
        with pytest.raises(PydanticCustomError):
            quantity.parse(text)


@pytest.mark.parametrize("text", ["9ms", "1h", float("inf"), "9" * 39])
def test_the_range_is_said_in_units(text: object) -> None:
    with pytest.raises(PydanticCustomError, match="out of range: give 10ms to 59min"):
        Duration(0.01, 59 * 60.0).parse(text)


def test_off_is_for_optional_limits_only() -> None:
    assert Duration(1, DAY, optional=True).parse("off") is None
    assert Size(1, GB, optional=True).parse("off") is None
    with pytest.raises(PydanticCustomError, match="not understood"):
        Duration(1, DAY).parse("off")


@pytest.mark.parametrize(
    ("kind", "amount", "text"),
    [
        (Duration, 90.0, "90s"),
        (Duration, 120.0, "2min"),
        (Duration, 0.05, "50ms"),
        (Duration, 0.0, "0s"),
        (Size, 64 * KB, "64kB"),
        (Size, 1025, "1025B"),
    ],
)
def test_amounts_are_shown_as_a_user_writes_them(
    kind: type[Duration | Size], amount: float, text: str
) -> None:
    assert kind.show(amount) == text
