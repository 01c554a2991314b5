"""How applications are let in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shardproxy.wire.authenticate import AuthMethod
from shardproxy.wire.scram_keys import Verifier


@dataclass(frozen=True, slots=True)
class FrontendOptions:
    """``database`` is the one name to connect to; ``login_timeout`` is in seconds; ``verifiers`` are by
    user name.
    """

    database: str
    method: AuthMethod = AuthMethod.SCRAM
    verifiers: Mapping[str, Verifier] = field(default_factory=dict)
    login_timeout: float = 10.0
    max_message_size: int = 256 * 1024 * 1024
