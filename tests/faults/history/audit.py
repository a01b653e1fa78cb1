"""I2-I7 and I9 as comparisons of sets: what clients were told, what is there in the end, and the provider's ledger.

The ledger alone says what became of money; the system under test is never asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from tests.faults.history.operations import AtEnd, Letter, Operation, Told
from tests.faults.history.seats import CLOCK_ERROR_SECONDS, check_seats

FINAL = ("CONFIRMED", "DECLINED", "EXPIRED", "CANCELLED", "FAILED")
SILENT_SECONDS = 15.0
"""So long a Ticket is tried before its order gives up; a hold is paid for a minute at least.
Source: GIVES_UP in services/common/handlers.py; DESIGN.md, rule 3."""

LAG_SECONDS = 5.0
"""How long after its end a hold may keep its seats. Source: issue 6, I4."""


def check(history: Sequence[Operation], end: AtEnd, *, faults_ended_at: float = 0.0) -> list[str]:
    """Name everything that is wrong; empty where all invariants hold."""
    started = min((operation.start for operation in history), default=0.0)
    lag_seconds = LAG_SECONDS + max(0.0, faults_ended_at - started)
    wrong = [
        *check_seats(history, end, lag_seconds),
        *one_order_a_seat(end),
        *money(end),
        *tickets(end),
        *holds(history, end),
        *expired_early(history, end),
        *acknowledged(history, end),
        *same_answers(history),
        *(f"I8: unfinished: {name}" for name in end.unfinished),
    ]
    # An operation that was repeated is named once.
    return list(dict.fromkeys(wrong))


def one_order_a_seat(end: AtEnd) -> Iterable[str]:
    """I1, over the whole run: no seat is in two confirmed orders."""
    owners: dict[str, str] = {}
    for order_id, order in end.orders.items():
        for seat in order.seats if order.state == "CONFIRMED" else ():
            if seat in owners:
                yield f"I1: {seat} is sold to {owners[seat]} and to {order_id}"
            owners[seat] = order_id


def money(end: AtEnd) -> Iterable[str]:
    """I2: what was captured belongs to one confirmed order or went back; no authorization stays open."""
    by_key = defaultdict(list)
    for entry in end.ledger:
        by_key[entry.payment_key].append(entry)
    for key, entries in by_key.items():
        effects = Counter(entry.effect for entry in entries)
        kept = effects["captured"] - effects["refunded"]
        state = end.orders[key].state if key in end.orders else "unknown to all"
        if effects["captured"] > 1 or effects["refunded"] > effects["captured"]:
            yield f"I2: {key} was captured {effects['captured']} and refunded {effects['refunded']} times"
        if (kept > 0) != (state == "CONFIRMED"):
            yield f"I2: {key} is {state}, and the ledger says {', '.join(entry.effect for entry in entries)}"
        if effects["authorized"] and not effects["captured"] + effects["voided"]:
            yield f"I2: {key} is still authorized"
        for entry in entries:
            if entry.effect == "captured" and key in end.orders and entry.amount_minor != end.orders[key].amount_minor:
                yield f"I5: {key} paid {entry.amount_minor} for {end.orders[key].amount_minor}"
    for order_id, order in end.orders.items():
        if order.state == "CONFIRMED" and order_id not in by_key:
            yield f"I2: {order_id} is CONFIRMED and nothing was captured"


def tickets(end: AtEnd) -> Iterable[str]:
    """I3 and I5: confirmed orders have exactly their seats, and the map equals the Tickets."""
    sold = {seat: last.order_id for seat, last in end.seats.items() if last.status == "SOLD"}
    for order_id, order in end.orders.items():
        if order.state == "CONFIRMED" and (missing := [seat for seat in order.seats if sold.get(seat) != order_id]):
            yield f"I3: {order_id} is CONFIRMED without {', '.join(missing)}"
    for seat, order_id in sold.items():
        owner = end.orders.get(order_id)
        if owner is None or owner.state != "CONFIRMED" or seat not in owner.seats:
            yield f"I3: {seat} is sold to {order_id or 'nobody'}, which is {owner.state if owner else 'unknown'}"
    for seat, last in end.seats.items():
        if last.shown and last.shown != last.status:
            yield f"I5: the map shows {seat} as {last.shown}, its Ticket is {last.status}"


def holds(history: Sequence[Operation], end: AtEnd) -> Iterable[str]:
    """I4: acknowledged holds have ended, and none was paid that had expired before."""
    expiry: dict[str, float] = {}
    for operation in history:
        if operation.kind in ("hold", "extend") and operation.told is Told.OK:
            expiry[operation.hold_id] = max(operation.expires_at, expiry.get(operation.hold_id, 0.0))
    for hold_id, state in end.holds.items():
        if state in ("OPEN", "PAYING") and end.at > expiry.get(hold_id, 0.0) + LAG_SECONDS:
            yield f"I4: {hold_id} is still {state}"
    live = {hold_id for hold_id, state in end.holds.items() if state in ("OPEN", "PAYING")}
    free = {seat for seat, last in end.seats.items() if last.status != "HELD"}
    held_by = {s for o in history if o.kind == "hold" and o.told is Told.OK and o.hold_id in live for s in o.seats}
    for seat in sorted(set(end.seats) - free - held_by):
        yield f"I4: {seat} is HELD, and no hold is live"
    yield from _paid_late(history, end, expiry)


def expired_early(history: Sequence[Operation], end: AtEnd) -> Iterable[str]:
    """I4: nobody is told that a hold has expired before it has: somebody else would have freed its seats."""
    authorized = {entry.payment_key for entry in end.ledger if entry.effect == "authorized"}
    asked: dict[str, float] = {}
    due: dict[str, float] = {}
    for operation in sorted(history, key=lambda operation: operation.end):
        if operation.kind in ("hold", "extend") and operation.told is Told.OK:
            due[operation.hold_id] = operation.expires_at
        if operation.kind != "buy":
            continue
        asked[operation.order_id] = min(operation.start, asked.get(operation.order_id, operation.start))
        not_before = due.get(operation.hold_id, operation.end)
        if operation.order_id in authorized:
            # Its hold was being paid, which lasts longer; only a Ticket that does not answer ends it sooner.
            not_before = max(not_before, asked[operation.order_id] + SILENT_SECONDS)
        if operation.reason == "HOLD_EXPIRED" and operation.end < not_before - CLOCK_ERROR_SECONDS:
            yield f"I4: {operation}, {not_before - operation.end:.1f} s too early"


def _paid_late(history: Sequence[Operation], end: AtEnd, expiry: Mapping[str, float]) -> Iterable[str]:
    doubtful = {o.hold_id for o in history if o.kind == "extend" and o.told is Told.UNKNOWN}
    first_asked: dict[str, float] = {}
    for operation in history:
        if operation.kind == "buy" and operation.hold_id:
            asked = first_asked.get(operation.order_id, operation.start)
            first_asked[operation.order_id] = min(asked, operation.start)
    for order_id, start in first_asked.items():
        order = end.orders.get(order_id)
        if order is None or order.state != "CONFIRMED" or order.hold_id in doubtful:
            continue
        if start > expiry.get(order.hold_id, start) + CLOCK_ERROR_SECONDS:
            yield f"I4: {order_id} is CONFIRMED, asked for after {order.hold_id} had expired"


def acknowledged(history: Sequence[Operation], end: AtEnd) -> Iterable[str]:
    """I6: what was acknowledged is there; what is unknown has ended one way."""
    for operation in history:
        order = end.orders.get(operation.order_id)
        if operation.kind == "buy":
            state = order.state if order else ""
            if operation.told is Told.OK and state != "CONFIRMED":
                yield f"I6: {operation} was acknowledged, and is {state or 'unknown'}"
            if operation.told is Told.REFUSED and state == "CONFIRMED":
                yield f"I6: {operation} was refused, and is CONFIRMED"
            if state and state not in FINAL:
                yield f"I6: {operation.order_id} has not ended: {state}"
        if operation.kind == "hold" and operation.told is Told.OK and operation.hold_id not in end.holds:
            yield f"I6: {operation} was acknowledged, and nobody knows it"
        state = end.holds.get(operation.hold_id, "FORGOTTEN")
        if operation.kind == "release" and operation.told is Told.OK and state not in ("RELEASED", "FORGOTTEN"):
            yield f"I6: {operation} was acknowledged, and is {state}"


def same_answers(history: Sequence[Operation]) -> Iterable[str]:
    """I7: all answers to one (buyer, call, request id) are equal."""
    answers = defaultdict(set)
    for operation in history:
        if operation.request_id and operation.told is not Told.UNKNOWN:
            answer = (operation.told, operation.hold_id, operation.order_id, operation.state, operation.reason)
            answers[operation.buyer, operation.kind, operation.request_id].add(answer)
    for (buyer, kind, request_id), given in answers.items():
        if len(given) > 1:
            yield f"I7: {buyer} {kind} {request_id} was answered in {len(given)} ways: {sorted(given)}"


def letters(end: AtEnd, sent: Sequence[Letter], deaths: Sequence[float], addresses: Mapping[str, str]) -> list[str]:
    """Mails: each confirmed order has one Message-ID, and no other order any; name what is wrong.

    A second copy under the same Message-ID is wrong unless a process that it went through (`deaths`, Unix time) died
    between the two: after the mail server's 250 and before that is journaled, which SMTP cannot exclude.
    `addresses`: of each order.
    """
    wrong = []
    by_address = defaultdict(list)
    for letter in sorted(sent, key=lambda letter: letter.at):
        by_address[letter.address].append(letter)
    for order_id, order in end.orders.items():
        own = by_address[addresses.get(order_id, "")]
        ids = {letter.message_id for letter in own}
        if len(ids) != (order.state == "CONFIRMED"):
            wrong.append(f"mail: {order_id} is {order.state} and was mailed under {len(ids)} Message-IDs")
        for first, second in pairwise(own):
            if not any(first.at - CLOCK_ERROR_SECONDS <= death <= second.at for death in deaths):
                wrong.append(
                    f"mail: {order_id} was mailed again after {second.at - first.at:.1f} s, and nothing had died"
                )
    return wrong


def outcomes(history: Sequence[Operation], end: AtEnd) -> Counter[str]:
    """I9: count what happened: won and lost holds and how orders have ended."""
    counts = Counter(f"{operation.kind} {operation.told}" for operation in history)
    counts["won"] = sum(o.kind in ("hold", "buy") and o.told is Told.OK for o in history)
    counts["lost"] = sum(o.reason == "SEAT_UNAVAILABLE" for o in history)
    counts["expired"] = sum(state == "EXPIRED" for state in end.holds.values())
    counts.update(order.state.lower() for order in end.orders.values() if order.state)
    return counts


def trivial(
    counts: Counter[str], wanted: Sequence[str] = ("won", "lost", "expired", "declined", "cancelled")
) -> list[str]:
    """I9: name the outcomes that never occurred; a run without them proves nothing of them."""
    return [f"I9: no {name} in the whole run" for name in wanted if not counts[name]]
