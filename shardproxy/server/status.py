"""What the admin page shows of a sidecar."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shardproxy.server.sidecar import Sidecar


class SidecarStatus:
    """To be read by ``admin``."""

    def __init__(self, sidecar: "Sidecar") -> None:
        self.sidecar = sidecar
