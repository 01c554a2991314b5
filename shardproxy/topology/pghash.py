# cython: annotation_typing=False
"""PostgreSQL's own hash functions with seed 0: what ``hashint8extended(x, 0)`` and its siblings compute.

They follow ``src/common/hashfn.c`` (Bob Jenkins' lookup3) and ``src/backend/access/hash/hashfunc.c``,
unchanged from PostgreSQL 11 to 18. Words are read as little-endian servers read them.

A compiled leaf: the sibling ``.pxd`` types every variable, and every sum is masked, so that Python's
unbounded integers and C's wrapping ones agree. Results are unsigned; SQL shows the same 64 bits as a bigint.
"""

_MASK = 0xFFFFFFFF
_INITIAL = 0x9E3779B9 + 3923095
_INT8_MAX = 0x7FFFFFFFFFFFFFFF


def _final(a: int, b: int, c: int) -> int:
    """The ``final`` macro, then ``b`` and ``c`` as one 64-bit number."""
    c = ((c ^ b) - (((b << 14) & _MASK) | (b >> 18))) & _MASK
    a = ((a ^ c) - (((c << 11) & _MASK) | (c >> 21))) & _MASK
    b = ((b ^ a) - (((a << 25) & _MASK) | (a >> 7))) & _MASK
    c = ((c ^ b) - (((b << 16) & _MASK) | (b >> 16))) & _MASK
    a = ((a ^ c) - (((c << 4) & _MASK) | (c >> 28))) & _MASK
    b = ((b ^ a) - (((a << 14) & _MASK) | (a >> 18))) & _MASK
    c = ((c ^ b) - (((b << 24) & _MASK) | (b >> 8))) & _MASK
    high = b  # a 64-bit variable, so that the shift below keeps its bits in C
    return (high << 32) | c


def _word(text: bytes, at: int) -> int:
    """The four bytes of ``text`` from ``at``, little-endian. The caller has checked that they are there."""
    high = text[at + 3]  # an unsigned 32-bit variable: shifting a C int by 24 would reach its sign
    return text[at] | (text[at + 1] << 8) | (text[at + 2] << 16) | (high << 24)


def hash_bytes_extended(data: bytes) -> int:
    """``hashtextextended(x, 0)`` of a text under a deterministic collation (its UTF-8 bytes), or
    ``uuid_hash_extended(x, 0)`` of a uuid (its 16 bytes), as an unsigned 64-bit number.
    """
    text = data
    length = len(data)
    a = b = c = (_INITIAL + length) & _MASK
    at = 0
    while length - at >= 12:
        a = (a + _word(text, at)) & _MASK
        b = (b + _word(text, at + 4)) & _MASK
        c = (c + _word(text, at + 8)) & _MASK
        a = ((a - c) & _MASK) ^ (((c << 4) & _MASK) | (c >> 28))
        c = (c + b) & _MASK
        b = ((b - a) & _MASK) ^ (((a << 6) & _MASK) | (a >> 26))
        a = (a + c) & _MASK
        c = ((c - b) & _MASK) ^ (((b << 8) & _MASK) | (b >> 24))
        b = (b + a) & _MASK
        a = ((a - c) & _MASK) ^ (((c << 16) & _MASK) | (c >> 16))
        c = (c + b) & _MASK
        b = ((b - a) & _MASK) ^ (((a << 19) & _MASK) | (a >> 13))
        a = (a + c) & _MASK
        c = ((c - b) & _MASK) ^ (((b << 4) & _MASK) | (b >> 28))
        b = (b + a) & _MASK
        at += 12
    for i in range(length - at):  # at most 11 bytes; the lowest byte of c is taken by the length
        byte = text[at + i]
        if i < 4:
            a = (a + (byte << (8 * i))) & _MASK
        elif i < 8:
            b = (b + (byte << (8 * (i - 4)))) & _MASK
        else:
            c = (c + (byte << (8 * (i - 7)))) & _MASK
    return _final(a, b, c)


def hashint8extended(value: int) -> int:
    """``hashint8extended(value, 0)`` as an unsigned 64-bit number; the int2 and int4 functions agree with it.

    Raises OverflowError outside the range of int8.
    """
    if value > _INT8_MAX or ~value > _INT8_MAX:
        raise OverflowError("value out of range for type bigint")
    low = value & _MASK
    high = (value >> 32) & _MASK
    low ^= high if value >= 0 else high ^ _MASK
    start = (_INITIAL + 4) & _MASK
    return _final((start + low) & _MASK, start, start)
