"""The configuration files of the servers we make: text only."""

from collections.abc import Mapping

_COMMON = {
    "max_connections": "200",
    "max_prepared_transactions": "200",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "wal_level": "logical",
    "wal_keep_size": "512MB",
    "max_wal_size": "2GB",
    "shared_buffers": "64MB",
    "hot_standby_feedback": "on",
    "wal_retrieve_retry_interval": "200ms",
    "wal_receiver_timeout": "10s",
    "wal_receiver_status_interval": "1s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
    # Not /dev/shm: containers have little of it, and a killed server would leave files there.
    "dynamic_shared_memory_type": "mmap",
}

_THROWN_AWAY = {"fsync": "off", "full_page_writes": "off"}
"""For servers whose data need not outlive a crash of the machine."""


def initial_settings(version: tuple[int, int], *, durable: bool, cluster_name: str) -> str:
    """Our part of postgresql.conf."""
    settings = dict(_COMMON)
    if not durable:
        settings |= _THROWN_AWAY
    if version >= (18, 0):
        # The I/O workers of 18 are three more processes a server, and this machine runs seven servers.
        settings["io_method"] = "sync"
    settings["cluster_name"] = cluster_name
    return changed("", settings)


def changed(conf: str, settings: Mapping[str, str]) -> str:
    """The text of a configuration file (of lines as written here) with some settings set to new values."""
    kept = [line for line in conf.splitlines() if line.partition(" = ")[0] not in settings]
    new = [f"{name} = '{_quoted(value)}'" for name, value in settings.items()]
    return "\n".join(kept + new) + "\n"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def conninfo_value(value: str) -> str:
    """A value quoted for a libpq connection string."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def host_based_authentication(method: str) -> str:
    """pg_hba.conf: the Unix socket is trusted (its directory is private), TCP uses ``method``."""
    return (
        "local all         all trust\n"
        "local replication all trust\n"
        f"host  all         all 127.0.0.1/32 {method}\n"
        f"host  all         all ::1/128      {method}\n"
        f"host  replication all 127.0.0.1/32 {method}\n"
    )
