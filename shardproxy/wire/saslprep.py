"""SASLprep (RFC 4013) of passwords, with PostgreSQL's leniency: what cannot be prepared is used as it is."""

import stringprep
import unicodedata

_PROHIBITED = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(password: str) -> bytes:
    """The bytes of ``password`` that SCRAM hashes, as ``pg_saslprep`` and its callers make them.

    ASCII passes unchanged. A password with prohibited or unassigned characters, or that becomes empty, is
    taken raw.
    """
    if password.isascii():
        return password.encode()
    prepared = _prepare(password)
    # surrogateescape: a password that came as bytes that are not UTF-8 is hashed as those bytes
    return (password if prepared is None else prepared).encode("utf-8", "surrogateescape")


def _prepare(password: str) -> str | None:
    """RFC 4013, section 2; None where it forbids the password."""
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in password
        if stringprep.in_table_c12(char) or not stringprep.in_table_b1(char)
    )
    if not mapped:
        return None
    normal = unicodedata.normalize("NFKC", mapped)
    if any(prohibited(char) for char in normal for prohibited in _PROHIBITED):
        return None
    return normal if _is_bidi_clean(normal) else None


def _is_bidi_clean(text: str) -> bool:
    """RFC 3454, section 6: right-to-left text begins and ends so, and holds nothing left-to-right."""
    if not any(stringprep.in_table_d1(char) for char in text):
        return True
    if any(stringprep.in_table_d2(char) for char in text):
        return False
    return stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
