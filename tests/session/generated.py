"""Generated sessions: steps that make, use and forget every kind of state a session can have."""

from collections.abc import Mapping
from random import Random

from shardproxy.wire.client_messages import SYNC, bind, close, describe, execute, parse
from tests.session.scripts.vocabulary import ext, q

VALUES = {
    "work_mem": ("'1MB'", "'7MB'", "DEFAULT", "'nonsense'"),
    "timezone": ("'Asia/Tokyo'", "'America/New_York'", "UTC", "'Nowhere/Land'"),
    "datestyle": ("German", "'SQL, DMY'", "ISO"),
    "extra_float_digits": ("0", "3", "'99'"),
    "search_path": ("pg_catalog", "public, pg_catalog", "nowhere, public", "DEFAULT"),
    "application_name": ("'mine'", "'other'", "DEFAULT"),
    "statement_timeout": ("'10s'", "0"),
    "role": ("app", "NONE", "nobody_here"),
    "default_transaction_read_only": ("on", "off"),
}
"""Settings and what they are set to, some of it wrong. Where it is, the step fails as PostgreSQL's does."""

LOOKS = (
    "SELECT '2024-07-01 12:00+00'::timestamptz::text, (1.1::float8 / 3)::text, current_date IS NOT NULL",
    "SELECT current_user, session_user, current_schemas(false)",
    "SELECT count(*) FROM coupons WHERE tenant_id = '{tenant}'",
    "SELECT count(*) FROM public.coupons WHERE tenant_id = '{tenant}'",
    "SELECT count(*) FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()",
    "SELECT * FROM pg_catalog.pg_listening_channels()",
    "SELECT * FROM scratch ORDER BY a",
    "SELECT coalesce(current_setting('my.own', true), '')",
)
"""Queries that see the state."""

OWN = (
    "SET my.own = 'a'",
    "SET LOCAL my.own = 'b'",
    "SELECT set_config('my.own', 'c', true)",
    "SELECT set_config('my.own', 'd', false)",
)
"""A placeholder. A server never forgets that it was set, only to what, so SHOW of it is not compared."""

BLOCKS = (
    "BEGIN",
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "BEGIN READ ONLY",
    "COMMIT",
    "COMMIT",
    "ROLLBACK",
    "COMMIT AND CHAIN",
    "SAVEPOINT a",
    "SAVEPOINT b",
    "ROLLBACK TO a",
    "ROLLBACK TO b",
    "RELEASE a",
    "SET TRANSACTION READ ONLY",
    "SELECT 1/0",
    "SELEC",
    "SHOW transaction_isolation",
    "SHOW transaction_read_only",
    "SELECT 1",
    "BEGIN; SELECT 2; COMMIT",
    "SELECT 3; SELECT 1/0",
)

STATE = (
    "DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 5) AS i",
    "DECLARE c CURSOR WITH HOLD FOR SELECT i FROM generate_series(1, 5) AS i",
    "FETCH 2 FROM c",
    "CLOSE c",
    "CLOSE ALL",
    "LISTEN channel_{client}",
    "NOTIFY channel_{client}, 'hello'",
    "UNLISTEN *",
    "CREATE TEMP TABLE scratch (a int)",
    "INSERT INTO scratch VALUES (1), (2)",
    "DROP TABLE scratch",
    "SELECT pg_try_advisory_lock({client})",
    "SELECT pg_advisory_unlock({client})",
    "SELECT pg_try_advisory_xact_lock({client})",
    "SELECT pg_advisory_unlock_all()",
    "PREPARE p AS SELECT 40 + 2",
    "EXECUTE p",
    "DEALLOCATE p",
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "DISCARD ALL",
    "RESET ALL",
)
NAMES = (b"s", b"t", b"")
PARSED = (
    "SELECT $1::int + 1",
    "SELECT current_setting('timezone'), $1::text",
    "SELECT count(*) FROM coupons WHERE tenant_id = $1",
    "SELECT nothing_here",
    "BEGIN",
    "COMMIT",
)


def session(random: Random, client: int, tenant: str) -> list[bytes]:
    """The steps of one session, each of which is answered before the next; the last look at all state.

    ``client`` makes the names of what sessions would share: channels and advisory locks.
    """
    return Generator(random, {"client": str(client), "tenant": tenant}).session()


class Generator:
    """Makes steps; ``names`` are filled in."""

    def __init__(self, random: Random, names: Mapping[str, str]) -> None:
        self.random = random
        self.names = names

    def session(self) -> list[bytes]:
        steps = [self.step() for _ in range(self.random.randint(8, 24))]
        looks = [f"SHOW {name}" for name in VALUES] + list(LOOKS)
        return [*steps, *(q(look.format_map(self.names)) for look in ("ROLLBACK", *looks))]

    def step(self) -> bytes:
        kinds = (self.setting, self.block, self.look, self.state, self.prepared)
        return self.random.choices(kinds, (35, 25, 15, 15, 10))[0]()

    def setting(self) -> bytes:
        if self.random.random() < 0.1:
            return self.send(self.random.choice(OWN))
        name = self.random.choice(list(VALUES))
        value = self.random.choice(VALUES[name])
        literal = value if value.startswith("'") else f"'{value}'"
        local = self.random.choice(("true", "false"))
        return self.send(
            self.random.choice(
                (
                    f"SET {name} = {value}",
                    f"SET {name} = {value}",
                    f"SET LOCAL {name} = {value}",
                    f"RESET {name}",
                    f"SHOW {name}",
                    f"SELECT set_config('{name}', {literal}, {local})",
                    f"SET {name} = {value}; SHOW {name}",
                    f"BEGIN; SET LOCAL {name} = {value}; SHOW {name}; COMMIT",
                    f"BEGIN; SET {name} = {value}; ROLLBACK; SELECT 1",
                )
            )
        )

    def block(self) -> bytes:
        return self.send(self.random.choice(BLOCKS))

    def look(self) -> bytes:
        return self.send(self.random.choice(LOOKS))

    def state(self) -> bytes:
        return self.send(self.random.choice(STATE))

    def send(self, sql: str) -> bytes:
        """By one of the protocols."""
        text = sql.format_map(self.names)
        return q(text) if self.random.random() < 0.7 else ext(text) + SYNC

    def prepared(self) -> bytes:
        name = self.random.choice(NAMES)
        return self.random.choice(
            (
                parse(name, self.parsed()) + describe(b"S", name) + SYNC,
                parse(name, self.parsed()) + SYNC,
                bind(b"", name, values=[b"7"]) + execute() + SYNC,
                bind(b"", name, values=[b"7"]) + describe(b"P", b"") + execute() + SYNC,
                bind(b"", name) + execute() + SYNC,
                close(b"S", name) + SYNC,
            )
        )

    def parsed(self) -> bytes:
        return self.random.choice(PARSED).encode()
