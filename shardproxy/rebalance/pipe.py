"""Rows from a query on one server into a table of another, without holding more than a few pieces of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import asyncpg

PIECES: Final = 8
"""Pieces of COPY data on their way; the source's server waits while the target's does."""

Passing = Callable[[int], Awaitable[None]]


async def pipe(
    source: asyncpg.Connection,
    query: str,
    target: asyncpg.Connection,
    table: tuple[str, str],
    columns: tuple[str, ...],
    *,
    binary: bool,
    passing: Passing,
) -> int:
    """COPY the rows of ``query`` into ``table``; how many they were.

    ``passing`` is called with the size of each piece before it goes on, and may wait. Raises the first error
    of either side; both connections are of no use then.
    """
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue(PIECES)
    form = "binary" if binary else "text"

    async def take(data: bytes) -> None:
        await passing(len(data))
        await pieces.put(data)

    async def read() -> None:
        await source.copy_from_query(query, output=take, format=form)
        await pieces.put(None)

    async def give() -> AsyncIterator[bytes]:
        while (piece := await pieces.get()) is not None:
            yield piece

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            written = group.create_task(
                target.copy_to_table(
                    table[1], schema_name=table[0], columns=columns, source=give(), format=form
                )
            )
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return int(written.result().rpartition(" ")[2])
