"""The seat map of an event in the terminal, once or live: what `nexus map` does."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from rich.live import Live
from rich.text import Text

from services.cli.client import Gateway
from services.cli.drawing import STYLES, counted, draw, padded
from services.cli.errors import UNREACHABLE, GatewayError
from services.cli.hall import STATUS_PREFIX, Hall, load
from services.cli.show import console, print_json, print_json_line, working

FRESH_SECONDS: Final = 3.0
"""How long a seat that has changed is shown in reverse."""

FRAMES_PER_SECOND: Final = 4
NEWS: Final = 200
RETRY_SECONDS: Final = 2.0
MAP_PAGE_SEATS: Final = 10_000


def _pages(door: Gateway, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        page = door.call("GetSeatMap", {**request, "page_size": MAP_PAGE_SEATS, "page_token": token})
        yield page
        token = page["next_page_token"]
        if not token:
            return


def _whole_map(door: Gateway, request: dict[str, Any]) -> dict[str, Any]:
    """Give the map as one message: a section may go on on the next page."""
    sections: list[dict[str, Any]] = []
    for page in _pages(door, request):
        for section in page["sections"]:
            if sections and sections[-1]["section_id"] == section["section_id"]:
                sections[-1]["seats"] += section["seats"]
            else:
                sections.append(section)
    return {"event_id": request["event_id"], "sections": sections}


def _note_sections(hall: Hall, sections: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Take the statuses of a snapshot; give the seats that have changed."""
    return [
        (seat["seat_id"], seat["status"].removeprefix(STATUS_PREFIX))
        for section in sections
        for seat in section.get("seats", ())
        if hall.put(section["section_id"], seat["seat_id"], seat["status"])
    ]


def show(door: Gateway, request: dict[str, Any], *, as_json: bool) -> None:
    """Print the map as it is now. Raises GatewayError."""
    with working(is_quiet=as_json) as progress:
        progress.add_task("reading the seat map")
        if as_json:
            print_json(_whole_map(door, request))
            return
        hall = load(door, request["event_id"], request["section_id"])
        for page in _pages(door, request):
            _note_sections(hall, page["sections"])
    out = console()
    out.print(padded(draw(hall, out.width)), soft_wrap=True)


def watch(door: Gateway, request: dict[str, Any], *, as_json: bool) -> None:
    """Show the map and each change until Ctrl-C. Raises GatewayError."""
    try:
        if as_json:
            for message in door.stream("WatchSeatMap", request):
                print_json_line(message)
            return
        hall = load(door, request["event_id"], request["section_id"])
        messages = _messages(door, request)
        screen = _Screen(hall)
        # What the hall looks like now is no news.
        while len(hall.status) < sum(section.seat_count for section in hall.sections):
            message = next(messages)
            _note_sections(hall, message.get("sections", []))
            _note_changes(hall, message)
        if sys.stdout.isatty():
            screen.run(messages)
        else:
            _print_changes(hall, messages)
    except KeyboardInterrupt:
        return


def _messages(door: Gateway, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the stream's messages, going on where it broke; an empty one says that it is broken just now.

    Raises GatewayError for a refusal, and where not even the first attempt reached the gateway.
    """
    token, has_begun = "", False
    while True:
        try:
            for message in door.stream("WatchSeatMap", {**request, "resume_token": token}):
                token, has_begun = message["resume_token"], True
                yield message
        except GatewayError as error:
            if not has_begun or error.exit_code != UNREACHABLE:
                raise
        yield {}
        time.sleep(RETRY_SECONDS)


def _note_changes(hall: Hall, message: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (change["seat_id"], change["status"].removeprefix(STATUS_PREFIX))
        for change in message.get("changes", ())
        if hall.put(change["section_id"], change["seat_id"], change["status"])
    ]


def _print_changes(hall: Hall, messages: Iterator[dict[str, Any]]) -> None:
    """Print the map once and then a line for each change: for a pipe or a log."""
    out = console()
    out.print(padded(draw(hall, out.width)), soft_wrap=True)
    for message in messages:
        for seat_id, status in _note_sections(hall, message.get("sections", [])) + _note_changes(hall, message):
            print(f"{time.strftime('%H:%M:%S')} {seat_id} {status}", flush=True)


class _Screen:
    """Draws the hall again and again while the stream changes it."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._lock = threading.Lock()
        self._fresh: dict[str, float] = {}
        self._news: deque[tuple[str, str, str]] = deque(maxlen=NEWS)
        self._is_live = True
        self._drawn: tuple[object, Text] | None = None
        self._revision = 0

    def run(self, messages: Iterator[dict[str, Any]]) -> None:
        """Show the hall until the stream ends."""
        out = console()
        with Live(
            get_renderable=lambda: self._picture(out.width, out.height),
            console=out,
            refresh_per_second=FRAMES_PER_SECOND,
            vertical_overflow="crop",
        ):
            for message in messages:
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        with self._lock:
            changed = _note_sections(self._hall, message.get("sections", [])) + _note_changes(self._hall, message)
            now = time.monotonic()
            self._fresh |= {seat_id: now for seat_id, _ in changed}
            self._news += [(time.strftime("%H:%M:%S"), seat_id, status) for seat_id, status in changed]
            self._is_live = bool(message)
            self._revision += 1

    def _picture(self, width: int, height: int) -> Text:
        with self._lock:
            now = time.monotonic()
            self._fresh = {seat_id: at for seat_id, at in self._fresh.items() if now - at < FRESH_SECONDS}
            state = (self._revision, len(self._fresh), width, height)
            # Most frames show what the one before showed.
            if self._drawn is None or self._drawn[0] != state:
                lines = draw(self._hall, width, height - 2, self._fresh)
                self._drawn = (state, padded([*lines, self._footer(width)]))
            return self._drawn[1]

    def _footer(self, width: int) -> Text:
        text = Text(no_wrap=True)
        if self._is_live:
            text.append("● live  ", "green")
        else:
            text.append("○ the gateway is away, trying again  ", "yellow")
        text.append_text(counted(self._hall.counts))
        for at, seat_id, status in list(self._news)[:-6:-1]:
            part = Text.assemble("   ", (f"{at} ", "dim"), (f"{seat_id} {status}", STYLES.get(status, "none")))
            if text.cell_len + part.cell_len > width:
                break
            text.append_text(part)
        text.truncate(width)
        return text
