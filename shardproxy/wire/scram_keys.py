"""What SCRAM-SHA-256 derives from a password (RFC 5802, RFC 7677): keys, and the verifier a server keeps."""

import base64
import hashlib
import hmac
import os
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Self

from shardproxy.secret import Secret
from shardproxy.wire.saslprep import saslprep

DEFAULT_ITERATIONS: Final = 4096
"""PostgreSQL's ``scram_iterations``."""

SALT_BYTES: Final = 16
KEY_BYTES: Final = 32

_VERIFIER = re.compile(
    r"SCRAM-SHA-256\$([1-9][0-9]{0,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """The two keys a password, salt and iteration count give. ``client_key`` is as good as the password."""

    client_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @classmethod
    def derive(cls, password: Secret, salt: bytes, iterations: int) -> Self:
        """PBKDF2; about 1 ms of CPU for PostgreSQL's 4,096 iterations."""
        salted = hashlib.pbkdf2_hmac("sha256", saslprep(password.reveal()), salt, iterations)
        return cls(hmac_sha256(salted, b"Client Key"), hmac_sha256(salted, b"Server Key"))

    @property
    def stored_key(self) -> bytes:
        """What a server keeps to check a client's proof."""
        return hashlib.sha256(self.client_key).digest()


class KeyCache:
    """Remembers derived keys, so that only the first login to a server pays for PBKDF2.

    Bounded: the key used longest ago is forgotten first. Passwords are compared, not only their hashes.
    """

    def __init__(self, capacity: int = 256) -> None:
        self._capacity = capacity
        self._keys: OrderedDict[tuple[Secret, bytes, int], ScramKeys] = OrderedDict()

    def derive(self, password: Secret, salt: bytes, iterations: int) -> ScramKeys:
        """As :meth:`ScramKeys.derive`, at once where these three were seen before."""
        key = (password, salt, iterations)
        keys = self._keys.get(key)
        if keys is None:
            keys = ScramKeys.derive(password, salt, iterations)
            if len(self._keys) >= self._capacity:
                self._keys.popitem(last=False)
            self._keys[key] = keys
        else:
            self._keys.move_to_end(key)
        return keys


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server keeps instead of a password: it checks a client's proof, and cannot be used to log in."""

    iterations: int
    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>``, the form of ``pg_authid``.

        Raises ValueError, without the text, for anything else.
        """
        match = _VERIFIER.fullmatch(text)
        if match is None:
            raise ValueError("not a SCRAM-SHA-256 verifier")
        try:
            salt, stored_key, server_key = (
                base64.b64decode(part, validate=True) for part in match.groups()[1:]
            )
        except ValueError:
            raise ValueError("not a SCRAM-SHA-256 verifier: bad base64") from None
        if len(stored_key) != KEY_BYTES or len(server_key) != KEY_BYTES or int(match[1]) >= 1 << 31:
            raise ValueError("not a SCRAM-SHA-256 verifier: bad key length or iteration count")
        return cls(int(match[1]), salt, stored_key, server_key)

    @classmethod
    def from_password(
        cls, password: Secret, *, iterations: int = DEFAULT_ITERATIONS, salt: bytes | None = None
    ) -> Self:
        """The verifier of ``password``; ``salt`` is random unless given."""
        salt = os.urandom(SALT_BYTES) if salt is None else salt
        keys = ScramKeys.derive(password, salt, iterations)
        return cls(iterations, salt, keys.stored_key, keys.server_key)

    @classmethod
    def mock(cls, user: str, secret: bytes, iterations: int = DEFAULT_ITERATIONS) -> Self:
        """A verifier for a user who does not exist, that no password satisfies.

        A user's salt is always the same for one ``secret``, so that asking twice does not tell real users
        from others; the keys are random, which no client can find a preimage of.
        """
        salt = hmac_sha256(secret, user.encode("utf-8", "surrogateescape"))[:SALT_BYTES]
        return cls(iterations, salt, os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))

    def encode(self) -> str:
        """The form of ``pg_authid``; as secret as any password hash, so ``str`` does not show it."""
        salt, stored, server = (
            base64.b64encode(part).decode() for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC with SHA-256."""
    return hmac.digest(key, data, "sha256")
