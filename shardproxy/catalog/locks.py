"""The classes of our advisory locks: the first keys of pg_advisory_lock(int4, int4), "shp" and a letter."""

from typing import Final

CLASS_EPOCH: Final = int.from_bytes(b"shpE", "big")
"""(class, epoch): held shared by a server connection for as long as it is in that epoch."""

CLASS_GUARD: Final = int.from_bytes(b"shpG", "big")
"""(class, move): held shared by transactions on moving rows, exclusively by the drain of the cut-over."""

CLASS_MOVER: Final = int.from_bytes(b"shpM", "big")
"""(class, move): held on the catalog by the one process that drives the move."""

CLASS_INSTALL: Final = int.from_bytes(b"shpI", "big")
"""(class, 0): held on a server by the process that installs there."""
