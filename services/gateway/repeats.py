"""Calls whose object already exists or runs: repeated ones, and ones that nobody waits for.

While an order runs, the ingress cannot tell whether a repeat is the same request; the route's peek
handler can.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from google.protobuf.message import Message

from services.common.errors import (
    AlreadyExistsError,
    DeadlineExceededError,
    NotFoundError,
    RequestReusedError,
    UnavailableError,
)
from services.gateway.convert import first_answer, to_json

if TYPE_CHECKING:
    from services.gateway.calls import Call, Gateway

PEEK_AFTER_SECONDS: Final = 0.25
"""How long a repeated call may go unanswered before it is looked whether its id stands for another."""


async def call_and_peek(gateway: Gateway, call: Call) -> Message:
    """Call, and where that takes long look whether the id stands for another request or caller."""
    tasks = [asyncio.ensure_future(gateway.process(call))]
    try:
        done, _ = await asyncio.wait(tasks, timeout=PEEK_AFTER_SECONDS)
        if not done:
            tasks.append(asyncio.ensure_future(_peek(gateway, call)))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # Whatever else the peek says, the call itself will tell.
            refusal = tasks[1].exception() if tasks[1].done() else None
            if isinstance(refusal, RequestReusedError | AlreadyExistsError):
                raise refusal
        return await tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def submit(gateway: Gateway, call: Call) -> Message:
    """Hand the call over without waiting for it, and show what there is of it."""
    is_repeat = await gateway.submit(call)
    shown = None
    try:
        shown = await _shown(gateway, call)
        if shown is None and is_repeat:
            # Not begun yet, so it cannot be told whether it is the same request: look once more.
            await asyncio.sleep(PEEK_AFTER_SECONDS)
            shown = await _shown(gateway, call)
    except (UnavailableError, DeadlineExceededError):
        if is_repeat:
            raise
    return first_answer(call.request, call.route.response_class) if shown is None else shown


async def _shown(gateway: Gateway, call: Call) -> Message | None:
    try:
        return await _peek(gateway, call)
    except NotFoundError:
        return None


async def _peek(gateway: Gateway, call: Call) -> Message:
    """Ask the object what there is of it; it needs none of the personal data."""
    sealed = {path.text.partition(".")[0] for path in call.route.sealed}
    request = {name: value for name, value in to_json(call.request).items() if name not in sealed}
    return await gateway.answer(call, call.route.peek_handler, request)
