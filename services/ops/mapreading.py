"""Reads what the seat map shows, place by place."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from services.ops.domain import Finding, FindingKind, MapSeat, Section, Snapshot
from services.ops.statetable import StateRow, StateTable, UnreadableError, decode
from services.seatmap.domain import CHUNK_SEATS, Chunk
from services.seatmap.messages import MapSeat as PlacedSeat


@dataclass(frozen=True, slots=True)
class Seats:
    """A chunk of the layout, as SeatMap keeps it under `seats:{chunk}`."""

    seats: list[PlacedSeat]
    schema_version: int = 1


class _Shown:
    """The chunks of the maps as they come, in any order."""

    def __init__(self) -> None:
        self.placed: dict[tuple[str, int], list[str]] = {}
        self.chunks: dict[tuple[str, int], Chunk] = {}
        self.broken: set[tuple[str, int]] = set()

    def take(self, row: StateRow) -> Finding | None:
        """Take a value in; gives what is wrong with one that cannot be read."""
        place = _place(row)
        try:
            if row.key.startswith("seats:"):
                self.placed[place] = [seat.seat_id for seat in decode(row, Seats).seats]
            else:
                self.chunks[place] = decode(row, Chunk)
        except UnreadableError:
            self.broken.add(place)
            text = f"the map's {row.key} of section {place[0]} cannot be read"
            return Finding(FindingKind.STATE_UNREADABLE, text, section_id=place[0])
        return None

    def seats(self, section: Section) -> dict[int, MapSeat]:
        """Give what the map shows in each place of the section; of chunks that cannot be read nothing."""
        shown: dict[int, MapSeat] = {}
        for place in range(len(section.seat_ids)):
            number, offset = divmod(place, CHUNK_SEATS)
            chunk_place = (section.section_id, number)
            if chunk_place not in self.broken:
                # What nobody ever told it, the map shows as a chunk begins.
                chunk, ids = self.chunks.get(chunk_place, _FRESH), self.placed.get(chunk_place, [])
                seat_id = ids[offset] if offset < len(ids) else ""
                shown[place] = MapSeat(seat_id, chunk.statuses[offset], chunk.revisions[offset])
        return shown


_FRESH: Final = Chunk()


async def read_maps(state: StateTable, snapshot: Snapshot, section_ids: Collection[str] | None) -> None:
    """Read the maps of these sections, of all where `section_ids` is None."""
    event = snapshot.event
    wanted = {section.section_id for section in event.sections}
    where = "(key LIKE 'status:%' OR key LIKE 'seats:%')"
    if section_ids is None:
        rows = state.under("SeatMap", event.event_id, where)
    else:
        wanted &= set(section_ids)
        rows = state.named("SeatMap", {f"{event.event_id}:{section_id}" for section_id in wanted}, where)
    shown = _Shown()
    async for row in rows:
        wrong = shown.take(row)
        if wrong is not None:
            snapshot.unreadable.append(wrong)
    for section in event.sections:
        if section.section_id in wanted:
            snapshot.maps[section.section_id] = shown.seats(section)


def _place(row: StateRow) -> tuple[str, int]:
    return row.service_key.partition(":")[2], int(row.key.partition(":")[2])
