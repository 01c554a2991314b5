"""The console of a running sidecar: what it shows, and what it acts on."""

from typing import TYPE_CHECKING

from shardproxy.admin.status import ClientStatus
from shardproxy.config import assemble
from shardproxy.config.shown import shown
from shardproxy.console.children import Children
from shardproxy.console.console import Console, Sources
from shardproxy.frontend.connection import ClientConnection
from shardproxy.server.status import SidecarStatus

if TYPE_CHECKING:
    from shardproxy.server.sidecar import Sidecar


def console_of(sidecar: "Sidecar") -> Console:
    """The console; a reload renews its options."""
    specs = assemble.shard_specs(sidecar.config)
    return Console(
        assemble.console_options(sidecar.config),
        Sources(
            status=SidecarStatus(sidecar),
            clients=lambda: [_client(each) for each in sidecar.gate.connections],
            shard_map=lambda: sidecar.shared.shard_map,
            config=lambda: shown(sidecar.config),
            reload=sidecar.read_again,
            specs=lambda: assemble.shard_specs(sidecar.config),
            catalog=specs[sidecar.config.catalog_index],
            children=Children(sidecar.path),
        ),
    )


def _client(connection: ClientConnection) -> ClientStatus:
    session = connection.session
    if session is None:
        state = "login" if connection.conversation is None else "console"
        return ClientStatus(connection.user, None, connection.address, state, None, connection.connected)
    settings = session.settings
    state = "active" if session.busy else "idle in transaction" if session.in_block else "idle"
    return ClientStatus(
        session.user,
        settings.server.value("application_name"),
        connection.address,
        state,
        settings.tenant_text,
        connection.connected,
    )
