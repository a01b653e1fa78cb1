"""What a live map tells a watcher: that there is news, never the news itself."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from services.common.errors import NexusError


@dataclass(eq=False, slots=True)
class Mailbox:
    """Which of a watcher's sections have news: bounded by their number, however slow the watcher is."""

    news: set[str] = field(default_factory=set)
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    error: NexusError | None = None

    def notify(self, section_id: str, error: NexusError | None = None) -> None:
        """Tell the watcher that a section has changed, or cannot be read any more."""
        self.news.add(section_id)
        self.error = self.error or error
        self.bell.set()

    async def take(self, timeout_seconds: float) -> set[str]:
        """Wait for news and take it; an empty set after the time-out. Raises the error of a section."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.bell.wait(), timeout_seconds)
        self.bell.clear()
        if self.error is not None:
            raise self.error
        news, self.news = self.news, set()
        return news
