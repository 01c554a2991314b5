"""Who is connected: every session by its cancel key, and how many there may be."""

import hmac
import secrets
from dataclasses import dataclass, field
from typing import Protocol

SECRET_BYTES = {0: 4, 2: 32}
"""Length of a cancel key by minor protocol version: 3.0 has 4 bytes, 3.2 may have more."""


class Cancellable(Protocol):
    """What a cancel request ends in."""

    async def cancel(self) -> bool:
        """Cancel what runs; False when nothing does. Returns once the cancel can hit nothing that comes
        later.
        """


@dataclass(frozen=True, slots=True)
class CancelKey:
    """What a client must show to cancel its query (manual, "Canceling Requests in Progress")."""

    pid: int
    secret: bytes = field(repr=False)


class Registry:
    """The cancel keys of all sessions of this process; ``limit`` is the most sessions at a time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._sessions: dict[int, tuple[bytes, Cancellable]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def is_full(self) -> bool:
        """No further session may be added."""
        return len(self._sessions) >= self.limit

    def add(self, session: Cancellable, minor: int) -> CancelKey:
        """A key for a new session that speaks protocol 3.``minor``."""
        while True:
            pid = secrets.randbelow(2**31 - 2) + 1
            if pid not in self._sessions:
                break
        secret = secrets.token_bytes(SECRET_BYTES[minor])
        self._sessions[pid] = (secret, session)
        return CancelKey(pid, secret)

    def remove(self, key: CancelKey) -> None:
        """The session has ended; its key cancels nothing any more."""
        self._sessions.pop(key.pid, None)

    def find(self, pid: int, secret: bytes) -> Cancellable | None:
        """The session with that key; None for a wrong one, which is never answered."""
        found = self._sessions.get(pid)
        if found is None or not hmac.compare_digest(found[0], secret):
            return None
        return found[1]
