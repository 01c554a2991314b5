"""Real servers of each PostgreSQL version on this machine, whose users log in by different methods."""

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from shardproxy.demo.postgres import Install, Run, Server
from tests.topology.servers import installs

PASSWORD = "p\u00e4ss w\u00f6rd'"

HBA = """\
local all all trust
host  all postgres  127.0.0.1/32 scram-sha-256
host  all full_up   127.0.0.1/32 trust
host  all trusted   127.0.0.1/32 trust
host  all clear     127.0.0.1/32 password
host  all hashed    127.0.0.1/32 md5
host  all scrambled 127.0.0.1/32 scram-sha-256
host  all stranger  127.0.0.1/32 scram-sha-256
"""

USERS = f"""
SET client_min_messages = error;
CREATE ROLE trusted LOGIN;
CREATE ROLE clear LOGIN PASSWORD $${PASSWORD}$$;
CREATE ROLE scrambled LOGIN PASSWORD $${PASSWORD}$$;
CREATE ROLE full_up LOGIN CONNECTION LIMIT 0;
SET password_encryption = md5;
CREATE ROLE hashed LOGIN PASSWORD $${PASSWORD}$$;
"""


@dataclass(frozen=True)
class LoginServer:
    """A server on loopback TCP; ``minor`` is the newest protocol version 3 it speaks."""

    port: int
    minor: int


@pytest.fixture(scope="package", params=installs(), ids=lambda install: f"pg{install.version[0]}")
def live_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    install: Install = request.param
    with Run(install) as run:
        server = Server.create(run, "logins")
        hba = server.data_dir / "pg_hba.conf"
        hba.write_text(HBA)
        server.start()
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(USERS)
        yield server


@pytest.fixture
def live(live_server: Server) -> Iterator[psycopg.Connection]:
    """A superuser's connection."""
    with psycopg.connect(live_server.dsn(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def login_server(live_server: Server) -> LoginServer:
    return LoginServer(live_server.port, 2 if live_server.install.version >= (18, 0) else 0)
