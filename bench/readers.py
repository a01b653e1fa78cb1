"""What one reader of the seat map does: a section, the whole map, a section that has not changed."""

from __future__ import annotations

import aiohttp
import grpc.aio

from bench.buyers import AtGateway, Visitors, reason_of
from services.gateway.gen.nexus.v1 import seatmap_pb2

PAGE_SEATS = 10_000
OK, NOT_MODIFIED = 200, 304


class MapSection(AtGateway):
    """Read one section of the map."""

    async def visit(self, number: int) -> str | None:
        """Read."""
        section = self.load.sections[number % len(self.load.sections)]
        request = seatmap_pb2.GetSeatMapRequest(event_id=self.load.event_id, section_id=section)
        try:
            answer = await self.call(number, "SeatMapService/GetSeatMap", request)
        except grpc.aio.AioRpcError as error:
            return reason_of(error)
        self.told.facts["bytes"] = len(answer)
        return ""


class MapWhole(AtGateway):
    """Read the whole map, page by page."""

    async def visit(self, number: int) -> str | None:
        """Read all pages."""
        request = seatmap_pb2.GetSeatMapRequest(event_id=self.load.event_id, page_size=PAGE_SEATS)
        size = 0
        while True:
            try:
                answer = await self.call(number, "SeatMapService/GetSeatMap", request)
            except grpc.aio.AioRpcError as error:
                return reason_of(error)
            size += len(answer)
            request.page_token = seatmap_pb2.SeatMap.FromString(answer).next_page_token
            if not request.page_token:
                self.told.facts["bytes"] = size
                return ""


class OverHttp(Visitors):
    """Those who come over HTTP/1.1."""

    async def open(self) -> None:
        """Make the pool; connections are made as they are needed."""
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=self.load.deadline_seconds),
            auto_decompress=False,
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
        )

    async def close(self) -> None:
        """Disconnect."""
        await self.session.close()


class MapUnchanged(OverHttp):
    """Ask for a section with the ETag of the answer before."""

    async def open(self) -> None:
        """Know no tag yet."""
        await super().open()
        self._tags: dict[str, str] = {}

    async def visit(self, number: int) -> str | None:
        """Read; count the answers 304."""
        section = self.load.sections[number % len(self.load.sections)]
        url = f"{self.load.http}/v1/events/{self.load.event_id}/seatmap?section_id={section}"
        headers = {"if-none-match": self._tags[section]} if section in self._tags else {}
        async with self.session.get(url, headers=headers) as answer:
            await answer.read()
            if answer.status not in (OK, NOT_MODIFIED):
                return f"HTTP {answer.status}"
            self._tags[section] = answer.headers["etag"]
            known = self.told.facts.get("not_modified", 0.0)
            self.told.facts["not_modified"] = known + (answer.status == NOT_MODIFIED)
        return ""
