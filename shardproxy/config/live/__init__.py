"""``check --live``: the configuration compared with the servers it names.

``look`` asks each server, ``servers`` and ``tables`` judge what was seen, ``check`` puts them together.
"""

from shardproxy.config.live.check import check_live
from shardproxy.config.live.look import Look

__all__ = ["Look", "check_live"]
