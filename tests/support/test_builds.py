"""The helper that other tests trust to run both builds really gives two different ones."""

from types import ModuleType

from tests.support import builds

pghash = builds.fixture("shardproxy.topology.pghash")


def test_each_build_is_what_it_says(pghash: ModuleType, request: object) -> None:
    suffix = ".py" if pghash.__name__.startswith("pure") else builds.SUFFIX
    assert pghash.__file__ is not None
    assert pghash.__file__.endswith(suffix)
