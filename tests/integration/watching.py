"""Watches of the seat map at both doors, and what a watcher knows of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict

from services.gateway.gen.nexus.v1 import seatmap_pb2
from tests.integration.booking import Hall, first


class Picture:
    """What a watcher knows from the messages that it has read; fails where a change is missing or comes twice."""

    def __init__(self) -> None:
        self.seats: dict[str, dict[str, str]] = {}
        self.revisions: dict[str, int] = {}
        self.changes = 0
        self.resets = 0
        self.resume_token = ""

    def take(self, message: dict[str, Any]) -> None:
        """Take a message in."""
        self.resume_token = message["resume_token"]
        self.resets += bool(message["reset"])
        for section in message["sections"]:
            section_id = section["section_id"]
            if message["reset"]:
                self.seats[section_id] = {}
            self.revisions[section_id] = int(section["revision"])
            self.seats[section_id] |= {seat["seat_id"]: short(seat["status"]) for seat in section["seats"]}
        for change in message["changes"]:
            section_id = change["section_id"]
            assert int(change["revision"]) == self.revisions[section_id] + 1, "a gap, or a change told twice"
            self.revisions[section_id] += 1
            self.seats[section_id][change["seat_id"]] = short(change["status"])
            self.changes += 1


def short(status: str) -> str:
    """Give a status without its prefix."""
    return status.removeprefix("SEAT_STATUS_")


async def rpc_watch(address: str, event_id: str, resume_token: str = "") -> AsyncIterator[dict[str, Any]]:
    """Yield the messages of WatchSeatMap over gRPC, without heartbeats."""
    request = seatmap_pb2.WatchSeatMapRequest(event_id=event_id, resume_token=resume_token)
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_stream(
            "/nexus.v1.SeatMapService/WatchSeatMap",
            request_serializer=seatmap_pb2.WatchSeatMapRequest.SerializeToString,
            response_deserializer=seatmap_pb2.WatchSeatMapResponse.FromString,
        )(request)
        async for message in call:
            if not message.heartbeat:
                yield MessageToDict(
                    message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
                )


def watch(hall: Hall, door: str, resume_token: str = "") -> AsyncIterator[dict[str, Any]]:
    """Watch the map at one of the doors, from the beginning or from a token on."""
    if door == "grpc":
        return rpc_watch(hall.client.stack.grpc_address, hall.event_id, resume_token)
    if door == "sse, Last-Event-ID":
        return hall.watch(last_event_id=resume_token)
    return hall.watch(f"?resume_token={resume_token}" if resume_token else "")


async def follow(messages: AsyncIterator[dict[str, Any]], picture: Picture, changes: int) -> None:
    """Read until the picture has taken so many changes."""
    if picture.changes >= changes:
        return

    def take(message: dict[str, Any]) -> bool:
        picture.take(message)
        return picture.changes >= changes

    await first(messages, take, 20)
