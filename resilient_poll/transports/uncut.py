"""Sending what costs money, in code that awaits: a cancellation waits until it is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel

from resilient_poll.http.messages import Answer, ExchangeFailed

__all__ = ["to_its_end"]


async def to_its_end(
    send: Callable[[], Awaitable[Answer]], when_cancelled: Callable[[Answer | ExchangeFailed], None]
) -> Answer:
    """Send a request to its end, and let a cancellation take effect only then.

    Args:
        send: Builds and sends it.
        when_cancelled: Is told what came of a request whose caller is gone.

    Returns:
        The answer.

    Raises:
        ExchangeFailed: No whole answer came.
    """
    # Whoever is cancelled already asks for nothing that costs money.
    await anyio.lowlevel.checkpoint_if_cancelled()
    came: list[Answer | ExchangeFailed] = []
    broke: list[Exception] = []

    async def shielded() -> None:
        with anyio.CancelScope(shield=True):
            try:
                came.append(await send())
            except ExchangeFailed as failure:
                came.append(failure)
            except Exception as error:  # noqa: BLE001  # raised below, outside the group
                broke.append(error)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(shielded)
        # Trio notes a cancellation here and goes on, as no child was hurt by it; asyncio has raised it.
        await anyio.lowlevel.checkpoint_if_cancelled()
    except BaseException:
        for what in came:
            when_cancelled(what)
        raise
    for error in broke:
        raise error
    (what,) = came
    if isinstance(what, ExchangeFailed):
        raise what
    return what
