"""The shard map as a JSON document, as the catalog keeps it; the same map gives the same document.

Shards, groups and tables are named; keys are the text that their type's output function writes. The owners
of the buckets are one index a bucket, in 16 bits, big-endian, compressed and in base64: a few kilobytes.
"""

import binascii
import sys
import zlib
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final

from shardproxy.errors import ConfigError
from shardproxy.topology.keys import BUCKETS, Key, KeyFamily, from_text, to_text
from shardproxy.topology.moves import Moving
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Local, Reference, RelationName, Sharded, TableRule, TableRules

LAYOUT: Final = 2
"""The version of the document's form; one that is not known is not read."""


def to_document(shard_map: ShardMap) -> dict[str, Any]:
    """The document of ``shard_map``; its epoch is the catalog row's and not in it."""
    tables = shard_map.tables
    return {
        "layout": LAYOUT,
        "shards": list(shard_map.shards),
        "shard_epochs": list(shard_map.shard_epochs),
        "designated": shard_map.shards[shard_map.designated],
        "owners": _pack(shard_map.owners),
        "weights": list(shard_map.weights),
        "vnodes": shard_map.vnodes,
        "evened": sorted(shard_map.evened),
        "groups": {name: family.value for name, family in sorted(tables.groups.items())},
        "tenant_group": tables.tenant_group,
        "tables": [_table(name, rule) for name, rule in sorted(tables.rules.items())],
        "placements": sorted(
            [group, _text(tables, group, key), shard_map.shards[shard]]
            for (group, key), shard in shard_map.placements.items()
        ),
        "moves": [_move(shard_map, move) for move in shard_map.moves],
    }


def from_document(document: Mapping[str, Any], epoch: int) -> ShardMap:
    """The map that ``document`` says, as version ``epoch``. Raises ConfigError for one it cannot read."""
    if document.get("layout") != LAYOUT:
        raise ConfigError(
            f"the catalog's map has layout {document.get('layout')!r}; this shardproxy reads {LAYOUT}"
        )
    try:
        return _read(document, epoch)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ConfigError(f"the catalog's map of epoch {epoch} cannot be read: {error!r}") from error


def _read(document: Mapping[str, Any], epoch: int) -> ShardMap:
    shards = tuple(document["shards"])
    index = {name: i for i, name in enumerate(shards)}
    tables = TableRules(
        rules={(schema, name): _rule(rule) for schema, name, rule in document["tables"]},
        groups={name: KeyFamily(family) for name, family in document["groups"].items()},
        tenant_group=document["tenant_group"],
    )
    return ShardMap(
        shards=shards,
        owners=_unpack(document["owners"], len(shards)),
        placements={(g, _key(tables, g, text)): index[shard] for g, text, shard in document["placements"]},
        tables=tables,
        designated=index[document["designated"]],
        epoch=epoch,
        shard_epochs=tuple(map(int, document["shard_epochs"])),
        moves=tuple(_read_move(move, index, tables) for move in document["moves"]),
        weights=_weights(document["weights"], len(shards)),
        vnodes=int(document["vnodes"]),
        evened=_evened(document.get("evened", ())),
    )


def _weights(said: list[int], shards: int) -> tuple[int, ...]:
    weights = tuple(map(int, said))
    if len(weights) != shards or min(weights) < 0:
        raise ValueError("weights: not one of 0 or more for each shard")
    return weights


def _evened(said: Iterable[int]) -> frozenset[int]:
    evened = frozenset(map(int, said))
    if not evened <= frozenset(range(BUCKETS)):
        raise ValueError("evened: a bucket that is not there")
    return evened


def _pack(owners: "array[int]") -> str:
    big_endian = array("H", owners)
    if sys.byteorder == "little":
        big_endian.byteswap()
    return b64encode(zlib.compress(big_endian.tobytes(), 9)).decode()


def _unpack(text: str, shards: int) -> "array[int]":
    try:
        inflater = zlib.decompressobj()
        data = inflater.decompress(b64decode(text, validate=True), 2 * BUCKETS)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"owners: {error}") from error
    if len(data) != 2 * BUCKETS or not inflater.eof:
        raise ValueError(f"owners: not {BUCKETS} buckets")
    owners = array("H")
    owners.frombytes(data)
    if sys.byteorder == "little":
        owners.byteswap()
    if max(owners) >= shards:
        raise ValueError("owners: a bucket of a shard that is not there")
    return owners


def _text(tables: TableRules, group: str, key: Key) -> str:
    return to_text(tables.groups[group], key)


def _key(tables: TableRules, group: str, text: str) -> Key:
    return from_text(tables.groups[group], text)


def _table(name: RelationName, rule: TableRule) -> list[Any]:
    match rule:
        case Sharded(key, group):
            said: dict[str, str] = {"key": key, "group": group}
        case Local(shard):
            said = {"local": shard}
        case Reference():
            said = {"reference": "all"}
    return [*name, said]


def _rule(said: Mapping[str, str]) -> TableRule:
    if "key" in said:
        return Sharded(said["key"], said["group"])
    return Local(said["local"]) if "local" in said else Reference()


def _move(shard_map: ShardMap, move: Moving) -> dict[str, Any]:
    return {
        "move": move.number,
        "source": shard_map.shards[move.source],
        "target": shard_map.shards[move.target],
        "keys": sorted([group, _text(shard_map.tables, group, key)] for group, key in move.keys),
        "buckets": sorted(move.buckets),
        "moved": move.moved,
    }


def _read_move(said: Mapping[str, Any], index: Mapping[str, int], tables: TableRules) -> Moving:
    return Moving(
        number=int(said["move"]),
        source=index[said["source"]],
        target=index[said["target"]],
        keys=frozenset((group, _key(tables, group, text)) for group, text in said["keys"]),
        buckets=frozenset(map(int, said["buckets"])),
        moved=bool(said["moved"]),
    )
