"""The SQL this package sends lives in ``.sql`` files beside it, one statement each, read once."""

from functools import cache
from importlib.resources import files


@cache
def sql(name: str) -> str:
    """The text of ``rebalance/<name>.sql``."""
    return files("shardproxy.rebalance").joinpath(f"{name}.sql").read_text(encoding="utf-8")
