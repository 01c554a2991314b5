"""Sharding keys: the values that decide where a row lives, in one canonical form per key family.

A literal, a text parameter and a binary parameter of the same value become the same :data:`Key`, so they
reach the same bucket, the one the server computes with its own hash functions.
"""

from enum import StrEnum


class KeyFamily(StrEnum):
    """Types whose equal values hash equally, so tables keyed by any of them may be colocated."""

    INTEGER = "integer"  # int2, int4, int8: hashint8extended
    TEXT = "text"  # text, varchar under a deterministic collation: hashtextextended
    UUID = "uuid"  # uuid_hash_extended


Key = int | bytes
"""INTEGER: int; TEXT: the UTF-8 bytes; UUID: its 16 bytes."""
