"""WatchSeatMap: a snapshot or the changes after a token, then changes as they come.

A snapshot of a section too large for one message goes on in messages with `reset` false and
`sections` set: these add seats to what the message before has begun. The token of each message
stands for all that was sent up to it.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from services.common.errors import InvalidRequestError
from services.gateway.events import KnownSection
from services.gateway.gen.nexus.v1 import common_pb2, seatmap_pb2
from services.gateway.livemap import LiveMap
from services.gateway.mailbox import Mailbox
from services.gateway.sectionview import LETTERS, SectionView
from services.seatmap.messages import MapSeat, SectionChange

HEARTBEAT_SECONDS = 15.0
"""Longest silence of a stream. Source: DESIGN.md, WatchSeatMap."""

NEWS_SECONDS = 30.0
"""How old a view may be whose news is sent: a client that is slow does not cause reads."""

MESSAGE_ITEMS = 5_000
"""Seats or changes in one message: with the longest ids still below 1 MB."""

MAX_TOKEN_JSON = 64 * 1024
"""No token of ours unpacks to more: 1,000 sections with twenty digits each stay below."""

UNSENT = -1
"""Revision of a section that the client has not been given whole: it gets a snapshot."""

STATUS_OF_LETTER = {
    ord("A"): common_pb2.SEAT_STATUS_AVAILABLE,
    ord("H"): common_pb2.SEAT_STATUS_HELD,
    ord("S"): common_pb2.SEAT_STATUS_SOLD,
    ord("B"): common_pb2.SEAT_STATUS_BLOCKED,
}


class _Token(msgspec.Struct, frozen=True, array_like=True):
    """What a resume token holds: the revisions are in the order of the layout's sections."""

    version: int
    event_id: str
    sections: int
    revisions: list[int]


_encoder, _decoder = msgspec.json.Encoder(), msgspec.json.Decoder(_Token)


def sections_hash(section_ids: Iterable[str]) -> int:
    """Hash a list of sections, to tell whether a token's revisions are about the same ones."""
    return zlib.crc32("/".join(section_ids).encode())


def encode_token(event_id: str, section_ids: Sequence[str], revisions: Sequence[int]) -> str:
    """Make a resume token; with 1,000 sections it stays below 8 kB, so that it fits into a header."""
    text = _encoder.encode(_Token(1, event_id, sections_hash(section_ids), list(revisions)))
    return base64.urlsafe_b64encode(zlib.compress(text, 6)).decode().rstrip("=")


def decode_token(token: str, event_id: str, section_ids: Sequence[str]) -> list[int]:
    """Read a token of an earlier message: the revision of each section.

    UNSENT for all where the token is about other sections. Raises InvalidRequestError for what is
    no token, or one of another event.
    """
    expected = "a resume_token of an earlier message of this event"
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, MAX_TOKEN_JSON)
        if not unpacker.eof or unpacker.unused_data:
            raise InvalidRequestError({"resume_token": expected})
        found = _decoder.decode(text)
    except (binascii.Error, ValueError, zlib.error, msgspec.MsgspecError) as error:
        raise InvalidRequestError({"resume_token": expected}) from error
    if found.version != 1 or found.event_id != event_id:
        raise InvalidRequestError({"resume_token": expected})
    if found.sections != sections_hash(section_ids) or len(found.revisions) != len(section_ids):
        return [UNSENT] * len(section_ids)
    return found.revisions


def map_seats(seats: Sequence[MapSeat], letters: Sequence[int]) -> Iterator[seatmap_pb2.MapSeat]:
    """Give seats with their statuses as the contract has them."""
    for seat, letter in zip(seats, letters, strict=True):
        yield seatmap_pb2.MapSeat(
            seat_id=seat.seat_id, category_id=seat.category_id, status=STATUS_OF_LETTER[letter], x=seat.x, y=seat.y
        )


def _change(section_id: str, change: SectionChange) -> seatmap_pb2.SeatChange:
    return seatmap_pb2.SeatChange(
        section_id=section_id,
        revision=change.revision,
        seat_id=change.seat_id,
        status=STATUS_OF_LETTER[ord(LETTERS[change.status])],
    )


@dataclass(slots=True)
class SeatMapStream:
    """One client's stream. `revisions`: what the client has of each section, UNSENT for nothing."""

    live: LiveMap
    event_id: str
    sections: list[KnownSection]
    revisions: list[int]
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    _layouts: dict[str, int] = field(default_factory=dict)

    async def messages(self) -> AsyncGenerator[seatmap_pb2.WatchSeatMapResponse, None]:
        """Yield the stream's messages without end. Raises UnavailableError where the map cannot be read for long."""
        ids, mailbox = [section.section_id for section in self.sections], Mailbox()
        self.live.watch(mailbox, self.event_id, ids)
        try:
            has_said = False
            async for message in self._catch_up():
                has_said = True
                yield message
            if not has_said:
                # So that a client which has missed nothing learns that it is connected.
                yield self._message(heartbeat=True)
            while True:
                news = await mailbox.take(self.heartbeat_seconds)
                if not news:
                    yield self._message(heartbeat=True)
                    continue
                places = [place for place, section_id in enumerate(ids) if section_id in news]
                for message in self._news([(place, await self._view(place, NEWS_SECONDS)) for place in places]):
                    yield message
        finally:
            self.live.unwatch(mailbox, self.event_id, ids)

    async def _catch_up(self) -> AsyncGenerator[seatmap_pb2.WatchSeatMapResponse, None]:
        """Bring the client to now, in messages that hold as many sections as fit."""
        batch: list[tuple[int, SectionView]] = []
        seats = 0
        for place, section in enumerate(self.sections):
            view = await self._view(place, 0.25)
            self._layouts[section.section_id] = view.layout
            if self.revisions[place] >= 0:
                await self.live.reach(self.event_id, section.section_id, self.revisions[place])
            batch.append((place, view))
            seats += len(view.seats)
            if seats >= MESSAGE_ITEMS or place == len(self.sections) - 1:
                for message in self._news(batch):
                    yield message
                batch, seats = [], 0

    async def _view(self, place: int, max_age_seconds: float) -> SectionView:
        section = self.sections[place]
        return await self.live.view(
            self.event_id,
            section.section_id,
            max_age_seconds=max_age_seconds,
            seat_count=section.seat_count,
        )

    def _news(self, views: Sequence[tuple[int, SectionView]]) -> Iterator[seatmap_pb2.WatchSeatMapResponse]:
        """Yield what the client lacks: snapshots first, then changes."""
        changes: list[tuple[int, str, SectionChange]] = []
        snapshots: list[tuple[int, SectionView]] = []
        for place, view in views:
            has_layout = self._layouts.get(view.section_id) == view.layout
            missed = view.changes_since(self.revisions[place]) if has_layout else None
            if missed is None:
                snapshots.append((place, view))
            else:
                changes += [(place, view.section_id, change) for change in missed]
                if not missed:
                    self.revisions[place] = view.revision
        yield from self._snapshots(snapshots)
        for start in range(0, len(changes), MESSAGE_ITEMS):
            part = changes[start : start + MESSAGE_ITEMS]
            for place, _, change in part:
                self.revisions[place] = change.revision
            yield self._message(changes=[_change(section_id, change) for _, section_id, change in part])

    def _snapshots(self, views: Sequence[tuple[int, SectionView]]) -> Iterator[seatmap_pb2.WatchSeatMapResponse]:
        # Copied before the first message goes out: a view moves on while the client takes its time.
        copies = [(place, view, view.revision, view.layout, bytes(view.letters), view.seats) for place, view in views]
        for place, *_ in copies:
            self.revisions[place] = UNSENT
        message, count = self._message(reset=True), 0
        for place, view, revision, layout, letters, seats in copies:
            for start in range(0, max(1, len(seats)), MESSAGE_ITEMS):
                end = start + MESSAGE_ITEMS
                is_full = count + len(seats[start:end]) > MESSAGE_ITEMS
                if message.sections and (is_full or (start == 0 and not message.reset)):
                    yield self._sealed(message)
                    message, count = self._message(reset=start == 0), 0
                message.sections.add(
                    section_id=view.section_id,
                    revision=revision,
                    seats=map_seats(seats[start:end], letters[start:end]),
                )
                count += len(seats[start:end])
            self.revisions[place] = revision
            self._layouts[view.section_id] = layout
        if message.sections:
            yield self._sealed(message)

    def _sealed(self, message: seatmap_pb2.WatchSeatMapResponse) -> seatmap_pb2.WatchSeatMapResponse:
        message.resume_token = self._token()
        return message

    def _message(
        self, *, reset: bool = False, heartbeat: bool = False, changes: Sequence[seatmap_pb2.SeatChange] = ()
    ) -> seatmap_pb2.WatchSeatMapResponse:
        return seatmap_pb2.WatchSeatMapResponse(
            resume_token=self._token(), reset=reset, heartbeat=heartbeat, changes=changes
        )

    def _token(self) -> str:
        ids = [section.section_id for section in self.sections]
        return encode_token(self.event_id, ids, self.revisions)
