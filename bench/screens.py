"""Screens that watch a seat map: each shows one section. Some read what they are sent, all of them take it.

Not a visitor: a screen comes once and stays. One in `READS` reads what comes, so that the generator costs little.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from bench.buyers import AtGateway
from services.gateway.gen.nexus.v1 import common_pb2, seatmap_pb2

READS: Final = 20


class Screens(AtGateway):
    """`concurrency` screens for `seconds`."""

    async def open(self) -> None:
        """Connect, and wait until every screen shows its section."""
        await super().open()
        self._begun = False
        shown = [asyncio.Event() for _ in range(self.load.concurrency)]
        self._streams = [asyncio.create_task(self._watch(number, shown[number])) for number in range(len(shown))]
        await asyncio.gather(*(event.wait() for event in shown))

    async def stay(self) -> None:
        """Watch for the time that was said."""
        self._begun = True
        await asyncio.sleep(self.load.seconds)
        ended = [task for task in self._streams if task.done()]
        self.told.facts["ended"] = len(ended)
        for task in self._streams:
            task.cancel()
        await asyncio.wait(self._streams)

    async def _watch(self, number: int, shown: asyncio.Event) -> None:
        channel = self.channels[number % len(self.channels)]
        watch: Any = channel.unary_stream("/nexus.v1.SeatMapService/WatchSeatMap", None, None)
        request = seatmap_pb2.WatchSeatMapRequest(
            event_id=self.load.event_id, section_id=self.load.sections[number % len(self.load.sections)]
        )
        try:
            async for message in watch(request.SerializeToString()):
                shown.set()
                if self._begun:
                    self.told.facts["messages"] = self.told.facts.get("messages", 0.0) + 1
                if number // len(self.load.sections) % READS == 0:
                    self._read(message, time.time())
        finally:
            shown.set()

    def _read(self, message: bytes, at: float) -> None:
        for change in seatmap_pb2.WatchSeatMapResponse.FromString(message).changes:
            if change.status == common_pb2.SEAT_STATUS_SOLD:
                self.told.moments.setdefault(change.seat_id, []).append(at)
