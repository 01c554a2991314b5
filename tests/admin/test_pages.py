"""What each path answers."""

import json

from shardproxy.admin.pages import PAGES
from shardproxy.admin.status import CatalogStatus, MoveStatus, PoolStatus
from tests.admin.moments import LOST_SHARD, moment


def test_healthz_is_200_even_when_nothing_works() -> None:
    answer = PAGES["/healthz"].make(moment(shards=(LOST_SHARD,), schema_known=False, listening=False))
    assert (answer.status, answer.body) == (200, b"ok\n")


def test_readyz_lists_every_shard_with_its_servers() -> None:
    answer = PAGES["/readyz"].make(moment())
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "ready": True,
        "reasons": [],
        "shards": {
            "shard-a": {
                "writable": True,
                "primary": "p:5432",
                "servers": {
                    "p:5432": {
                        "configured": "primary",
                        "reachable": True,
                        "role": "primary",
                        "in_rotation": False,
                        "lag_seconds": None,
                        "lag_bytes": None,
                    },
                    "r:5432": {
                        "configured": "replica",
                        "reachable": True,
                        "role": "replica",
                        "in_rotation": True,
                        "lag_seconds": 0.25,
                        "lag_bytes": 512,
                    },
                },
            },
            "shard-b": {
                "writable": False,
                "primary": None,
                "servers": {
                    "p:5432": {
                        "configured": "primary",
                        "reachable": False,
                        "role": "primary",
                        "in_rotation": False,
                        "lag_seconds": None,
                        "lag_bytes": None,
                    },
                },
            },
        },
    }


def test_a_draining_proxy_is_not_ready_and_says_so() -> None:
    answer = PAGES["/readyz"].make(moment(draining=True))
    assert answer.status == 503
    assert json.loads(answer.body)["reasons"] == ["draining"]


def test_metrics_are_prometheus_text_and_made_off_the_loop() -> None:
    page = PAGES["/metrics"]
    answer = page.make(moment())
    assert answer.content_type.startswith("text/plain")
    assert b"# TYPE shardproxy_queries_total counter" in answer.body
    assert page.slow


def test_the_status_page_escapes_what_it_shows() -> None:
    pool = PoolStatus("<script>", "primary", "p:5432", idle=0, active=0, connecting=0, waiting=0)
    body = PAGES["/"].make(moment(version="<script>", pools=(pool,))).body.decode()
    assert "<script>" not in body
    assert "not reachable: no &lt;answer&gt; in time" in body


def test_the_status_page_shows_whose_the_map_is_and_what_moves() -> None:
    def page(**fields: object) -> str:
        return PAGES["/"].make(moment(**fields)).body.decode()

    assert "The map is the configuration" in page()
    catalog = CatalogStatus("1234", 2.5, None)
    moving = (MoveStatus(17, "2 keys", "shard-a", "shard-b", "shard-b"),)
    shown = page(epoch=5, catalog=catalog, moves=moving)
    assert "Map of epoch 5, by the catalog of installation 1234, which answered 2 s ago" in shown
    assert "<td>17</td><td>2 keys</td><td>shard-a</td><td>shard-b</td><td>shard-b</td>" in shown
    away = page(epoch=5, catalog=CatalogStatus("1234", 90.0, "<refused>"))
    assert "which does not answer: &lt;refused&gt;" in away
    assert "<h2>Moves</h2>" not in away


def test_the_status_page_shows_servers_pools_and_readiness() -> None:
    body = PAGES["/"].make(moment(uptime=93784.0)).body.decode()
    for text in ("up 1 d 2 h", "ready", "127.0.0.1:6432", "r:5432", "0.2 s, 512 bytes", "shard-b"):
        assert text in body
    assert "not ready: draining" in PAGES["/"].make(moment(draining=True)).body.decode()
