"""Large messages are parsed, checked and printed beside the event loop, so that small ones do not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

HEAVY_BYTES: Final = 64 * 1024

Result = TypeVar("Result")


class HeavyWork:
    """One thread: several would only take the interpreter from one another."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "large-message")

    async def run(self, size: int, work: Callable[[], Result]) -> Result:
        """Do work on a message of `size` bytes, at once where it is small."""
        if size <= HEAVY_BYTES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Drop what has not begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)
