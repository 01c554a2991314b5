"""Servers for the monitor's tests: a primary of the module, and replicas of it."""

from collections.abc import Iterator

import pytest

from shardproxy.demo.postgres import Install, Run, Server


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with Run(Install.find()) as run:
        yield run


@pytest.fixture(scope="module")
def primary(run: Run) -> Server:
    return Server.create(run, "primary").start()
