"""Is each seat's history that of one seat? A search for an order of its events that the calls' times allow.

The sequential model is a Ticket as its clients see it: free, held, sold. Each call becomes events that happened at
one instant of their interval; `is_certain` ones did happen, the others may have. After Wing and Gong, with Lowe's
memory of configurations; seats are independent of one another, so each is searched alone.
Source: Wing, Gong: Testing and Verifying Concurrent Objects (1993).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf

from tests.faults.history.operations import AtEnd, Operation, OrderAtEnd, Told

CLOCK_ERROR_SECONDS = 0.1
"""By how much a client's reading of expires_at and the server's may differ."""

FREE = ("AVAILABLE", "")
Status = tuple[str, str]


@dataclass(frozen=True)
class Event:
    """Something that happened to one seat, at one instant between `start` and `end`.

    take: free -> held by `hold`. sell: held by `hold` -> sold. free: held by or sold to `hold` -> free.
    look: the status was `seen`.
    """

    kind: str
    start: float
    end: float
    hold: str = ""
    seen: str = ""
    is_certain: bool = True
    why: str = ""

    def after(self, status: Status) -> Status | None:
        """Give the seat's status after the event; None where it cannot happen now."""
        match self.kind:
            case "take":
                return ("HELD", self.hold) if status == FREE else None
            case "sell":
                return ("SOLD", self.hold) if status == ("HELD", self.hold) else None
            case "free":
                return FREE if status != FREE and status[1] == self.hold else None
        return status if status[0] == self.seen else None


def unexplained(events: Iterable[Event]) -> str:
    """Tell which event no order explains; empty where there is an order."""
    ordered = sorted(events, key=lambda event: event.start)
    certain = sum(1 << place for place, event in enumerate(ordered) if event.is_certain)
    stack, seen = [(0, FREE)], {(0, FREE)}
    best, stuck = -1.0, ""
    while stack:
        taken, status = stack.pop()
        left = certain & ~taken
        if not left:
            return ""
        bound, first = _first_end(ordered, left)
        if first.end > best:
            best, stuck = first.end, f"{first.why}, while the seat was {' '.join(status).strip()}"
        for place, event in enumerate(ordered):
            if event.start > bound:
                break
            bit = 1 << place
            if taken & bit or (after := event.after(status)) is None:
                continue
            following = (taken | bit, after)
            if following not in seen:
                seen.add(following)
                stack.append(following)
    return stuck


def _first_end(ordered: Sequence[Event], left: int) -> tuple[float, Event]:
    """Find the certain event that must come first of those left."""
    bound, first = inf, ordered[(left & -left).bit_length() - 1]
    while left:
        place = (left & -left).bit_length() - 1
        left &= left - 1
        event = ordered[place]
        if event.start > bound:
            break
        if event.end < bound:
            bound, first = event.end, event
    return bound, first


def check_seats(history: Sequence[Operation], end: AtEnd, lag_seconds: float) -> list[str]:
    """Check every seat; `lag_seconds`: how long after its end a hold may keep a seat (I4)."""
    events = defaultdict(list)
    for seat, event in _events(history, end, lag_seconds):
        events[seat].append(event)
    wrong = []
    for seat, own in sorted(events.items()):
        if stuck := unexplained(own):
            wrong.append(f"I1: no order explains the history of {seat}: {stuck}")
    return wrong


def _events(history: Sequence[Operation], end: AtEnd, lag_seconds: float) -> Iterable[tuple[str, Event]]:
    by_hold, by_order, by_request = defaultdict(list), defaultdict(list), defaultdict(list)
    for number, operation in enumerate(history):
        if operation.kind == "buy":
            by_order[operation.order_id].append(operation)
        if operation.hold_id:
            by_hold[operation.hold_id].append(operation)
        if operation.kind == "hold":
            by_request[operation.buyer, operation.request_id or str(number)].append(operation)
        if operation.kind == "look" and operation.told is Told.OK:
            for seat in operation.seats:
                yield seat, Event("look", operation.start, operation.end, seen=operation.state, why=str(operation))
    for calls in by_request.values():
        made = _as_one(calls)
        yield from _of_hold(made, by_hold[made.hold_id] if made.hold_id else [], end, lag_seconds)
    for order_id, calls in by_order.items():
        yield from _of_order(order_id, calls, end)
    for seat, last in end.seats.items():
        yield seat, Event("look", end.at, end.at, seen=last.status, why=f"in the end it is {last.status}")


def _as_one(calls: Sequence[Operation]) -> Operation:
    """Take repeats of one request for what they are: one deed, done between the first call and the first answer."""
    start = min(call.start for call in calls)
    answered = [call for call in calls if call.told is not Told.UNKNOWN]
    return replace(min(answered or calls, key=lambda call: call.end), start=start)


def _of_hold(
    made: Operation, calls: Sequence[Operation], end: AtEnd, lag_seconds: float
) -> Iterable[tuple[str, Event]]:
    why = str(made)
    if made.told is Told.REFUSED:
        for seat, status in made.conflicts.items():
            yield seat, Event("look", made.start, made.end, seen=status, why=why)
        # What was tried before the first refusal was held for a moment, and freed by messages.
        tried = [seat for seat in sorted(made.seats) if made.conflicts and seat < min(made.conflicts)]
        yield from _perhaps(tried, f"refused {made.start}", made.start, made.end)
    elif made.told is Told.UNKNOWN:
        yield from _perhaps(made.seats, f"unknown {made.start}", made.start, inf)
    else:
        earliest, latest = _when_freed(made, calls, end, lag_seconds)
        for seat in made.seats:
            yield seat, Event("take", made.start, made.end, made.hold_id, why=why)
            if earliest < inf:
                ended = f"{made.hold_id} has ended and must be free by {latest:.3f}"
                yield seat, Event("free", earliest, latest, made.hold_id, is_certain=latest < end.at, why=ended)


def _perhaps(seats: Iterable[str], hold: str, start: float, end: float) -> Iterable[tuple[str, Event]]:
    for seat in seats:
        yield seat, Event("take", start, end, hold, is_certain=False)
        yield seat, Event("free", start, inf, hold, is_certain=False)


def _when_freed(made: Operation, calls: Sequence[Operation], end: AtEnd, lag_seconds: float) -> tuple[float, float]:
    """Give the times between which a hold's seats became free; both infinite where it was sold."""
    orders = {call.order_id for call in calls if call.kind == "buy"}
    if any(end.orders[order_id].state == "CONFIRMED" for order_id in orders if order_id in end.orders):
        return inf, inf
    known = [call.expires_at for call in calls if call.told is Told.OK and call.kind in ("hold", "extend")]
    releases = [call for call in calls if call.kind == "release" and call.told is not Told.REFUSED]
    buys = [call.start for call in calls if call.kind == "buy"]
    expiry = max(known, default=made.expires_at)
    earliest = min([expiry - CLOCK_ERROR_SECONDS, *(call.start for call in releases), *buys])
    if buys or any(call.told is Told.UNKNOWN for call in calls):
        return earliest, inf
    ended = min([expiry, *(call.end for call in releases)])
    return earliest, ended + lag_seconds


def _of_order(order_id: str, calls: Sequence[Operation], end: AtEnd) -> Iterable[tuple[str, Event]]:
    start = min(call.start for call in calls)
    done = min((call.end for call in calls if call.told is Told.OK), default=end.at)
    last = end.orders.get(order_id, OrderAtEnd(""))
    hold = calls[0].hold_id
    for seat in last.seats if last.state == "CONFIRMED" else calls[0].seats:
        if last.state == "CONFIRMED":
            why = f"{order_id} was CONFIRMED, asked at {start:.3f}"
            if not hold:
                # A sale in one step holds its seats first, for all to see.
                yield seat, Event("take", start, done, order_id, why=why)
            yield seat, Event("sell", start, done, hold or order_id, why=why)
        elif hold:
            yield seat, Event("sell", start, inf, hold, is_certain=False)
        else:
            yield seat, Event("take", start, inf, order_id, is_certain=False)
            yield seat, Event("sell", start, inf, order_id, is_certain=False)
            yield seat, Event("free", start, inf, order_id, is_certain=False)
