"""PostgreSQL's MD5 password authentication (manual, "Password Authentication")."""

import hashlib

from shardproxy.secret import Secret


def md5_response(user: str, password: Secret, salt: bytes) -> bytes:
    """What a client answers to AuthenticationMD5Password: ``md5(hex(md5(password + user)) + salt)``."""
    inner = _hex((password.reveal() + user).encode())
    return b"md5" + _hex(inner + salt)


def _hex(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()
