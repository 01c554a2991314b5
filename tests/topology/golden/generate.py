"""Write ``hashes-<major>.json`` beside this file: the hashes that real servers give to a set of keys.

Run ``python -m tests.topology.golden.generate``. The files are committed, so that the hash functions are held
against servers of several versions on machines that have none of them.
"""

import json
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import psycopg

from shardproxy.demo.postgres import Install, Run, Server
from tests.topology.servers import installs

HERE = Path(__file__).parent

INTEGERS = """
SELECT v, hashint8extended(v, 0),
       CASE WHEN v BETWEEN -2147483648 AND 2147483647 THEN hashint4extended(v::int4, 0) END,
       CASE WHEN v BETWEEN -32768 AND 32767 THEN hashint2extended(v::int2, 0) END
FROM unnest(%s::int8[]) WITH ORDINALITY AS t (v, n) ORDER BY n
"""
TEXTS = "SELECT v, hashtextextended(v, 0) FROM unnest(%s::text[]) WITH ORDINALITY AS t (v, n) ORDER BY n"
UUIDS = (
    "SELECT v::text, uuid_hash_extended(v, 0) FROM unnest(%s::uuid[]) WITH ORDINALITY AS t (v, n) ORDER BY n"
)


def integers(random: Random) -> list[int]:
    edges = [0, 1, 2, 7, 255, 256, 4096, 16383, 16384]
    edges += [2**bits + step for bits in (15, 16, 31, 32, 33, 48, 62) for step in (-1, 0, 1)] + [2**63 - 1]
    values = edges + [-value for value in edges if value] + [-(2**63)]
    return values + [random.randrange(-(2**63), 2**63) >> random.randrange(64) for _ in range(120)]


def texts(random: Random) -> list[str]:
    long = [63, 64, 65, 127, 255, 256, 1000, 8191]
    plain = [
        "".join(random.choices("abcxyzABC-_019 ", k=length)) for length in [*range(41), *range(41), *long]
    ]
    beyond_ascii = [
        "é",
        "ß",
        "Ω",
        "ключ",
        "東京",
        "日本語テスト",
        "🐘",
        "🐘🐘🐘",
        "e\u0301",
        "a\u00a0b",
        "\U0010ffff",
    ]
    mixed = ["".join(random.choices("aé東🐘", k=length)) for length in range(1, 41)]
    odd = ["'", "\\", '"', "\t\n", "{}", "\x01\x7f", "NULL", " padded ", "tenant-0001", "acme"]
    return plain + beyond_ascii + mixed + odd


def uuids(random: Random) -> list[str]:
    fixed = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
    return fixed + [str(UUID(bytes=random.randbytes(16))) for _ in range(80)]


def hashes(connection: psycopg.Connection, random: Random) -> dict[str, Any]:
    """Keys and the hashes (bigint, seed 0) this server gives them; an integer's for int8, int4 and int2."""
    return {
        "integer": [list(row) for row in connection.execute(INTEGERS, [integers(random)])],
        "text": [list(row) for row in connection.execute(TEXTS, [texts(random)])],
        "uuid": [list(row) for row in connection.execute(UUIDS, [uuids(random)])],
    }


def write(install: Install) -> None:
    with Run(install) as run:
        server = Server.create(run, "golden").start()
        with psycopg.connect(server.dsn()) as connection:
            version = connection.info.parameter_status("server_version")
            golden = {"server_version": version, **hashes(connection, Random(2024))}
    sections = (
        f"{json.dumps(name)}: "
        + (json.dumps(rows) if name == "server_version" else "[\n" + _lines(rows) + "\n]")
        for name, rows in golden.items()
    )
    (HERE / f"hashes-{install.version[0]}.json").write_text("{\n" + ",\n".join(sections) + "\n}\n")


def _lines(rows: list[list[Any]]) -> str:
    return ",\n".join(json.dumps(row) for row in rows)


if __name__ == "__main__":
    for each in installs():
        write(each)
