"""A server for the tests of a module that do not break it."""

from collections.abc import Iterator

import pytest

from shardproxy.demo.postgres import Install, Run, Server


@pytest.fixture(scope="module")
def server(install: Install) -> Iterator[Server]:
    with Run(install) as run:
        yield Server.create(run, "backend", auth="trust").start()
