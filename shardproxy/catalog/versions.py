"""What init makes on the servers, and the versions of it: from each to the next there is one script.

Sidecars work with an older version than their own, so they are upgraded first, and init is run afterwards.
"""

from importlib.resources import files
from typing import Final

from shardproxy.catalog.locks import CLASS_EPOCH, CLASS_GUARD

VERSION: Final = 2
"""The newest version that this shardproxy knows; a server's is in its fence's row."""


def fence_sql() -> str:
    """What every shard gets."""
    return _text("shard.sql") + _fence_functions()


def catalog_sql() -> str:
    """What the catalog's server gets besides."""
    return _text("catalog.sql") + _text("catalog_functions.sql")


def upgrade_sql(version: int, *, catalog: bool) -> str:
    """What makes a fence, and the catalog where there is one, of that version those of ``VERSION``."""
    scripts = [_text(f"shard_{newer}.sql") for newer in range(version + 1, VERSION + 1)]
    scripts.append(_fence_functions())
    if catalog:
        scripts += [_text(f"catalog_{newer}.sql") for newer in range(version + 1, VERSION + 1)]
        scripts.append(_text("catalog_functions.sql"))
    return "".join(scripts)


def newer(version: int) -> str:
    """Why an installation of that version, which we do not know, cannot be used."""
    return (
        f"the installation is of version {version}, and this shardproxy knows none after {VERSION}; "
        "upgrade shardproxy"
    )


def _fence_functions() -> str:
    return _text("shard_functions.sql").format(class_epoch=CLASS_EPOCH, class_guard=CLASS_GUARD)


def _text(name: str) -> str:
    return files("shardproxy.catalog").joinpath(name).read_text(encoding="utf-8")
