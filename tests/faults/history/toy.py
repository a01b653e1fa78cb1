"""A shop in memory that makes histories for the tests of the checker: good ones, and ones with a planted defect.

Each call happens at one instant; its client sees an interval around it. With a defect, one rule is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random

from tests.faults.history.operations import AtEnd, Moved, Operation, OrderAtEnd, SeatAtEnd, Told

HOLD_SECONDS = 1.0
PRICE = 4500


class Defect(StrEnum):
    """A rule that is left out."""

    NONE = "none"
    NO_FENCE = "a release frees the seat whoever holds it"
    REFUSAL_IGNORED = "a hold is granted although a seat was refused"
    LATE_CONFIRM = "a hold is paid after it expired"
    DOUBLE_CAPTURE = "a repeated order is captured again"
    LOST_RELEASE = "a release never reaches its seat"
    KEPT_MONEY = "an order fails after its capture, and nothing is given back"
    FORGOTTEN_ORDER = "an acknowledged order is gone"
    OPEN_AUTHORIZATION = "a cancelled order keeps its authorization"
    OTHER_ANSWER = "a repeated request is answered with another hold"
    HALF_AN_ORDER = "an order of two seats gets one"
    WRONG_MAP = "the map misses a sale"


@dataclass
class Hold:
    """A hold of the toy shop."""

    hold_id: str
    buyer: str
    seats: tuple[str, ...]
    expires_at: float
    state: str = "OPEN"


@dataclass
class Toy:
    """The shop, its clients and the history that they write."""

    seed: int
    defect: Defect = Defect.NONE
    seats: int = 40
    now: float = 0.0
    owners: dict[str, str] = field(default_factory=dict)
    sold: dict[str, str] = field(default_factory=dict)
    held: dict[str, Hold] = field(default_factory=dict)
    orders: dict[str, OrderAtEnd] = field(default_factory=dict)
    ledger: list[Moved] = field(default_factory=list)
    history: list[Operation] = field(default_factory=list)
    shown_late: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)

    def run(self, operations: int) -> tuple[list[Operation], AtEnd]:
        """Let clients do so many things; give what they saw and what is there in the end."""
        while len(self.history) < operations:
            self.now += self.chance.expovariate(20)
            self.expire()
            live = [h for h in self.held.values() if h.state == "OPEN" and h.hold_id not in self.unknown]
            choice = self.chance.random()
            if choice < 0.1:
                self.buy_at_once()
            elif choice < 0.5 or not live:
                self.hold()
            elif choice < 0.65:
                self.buy(self.chance.choice(live))
            elif choice < 0.72:
                self.release(self.chance.choice(live))
            elif choice < 0.77:
                self.extend(self.chance.choice(live))
            else:
                self.look()
        self.now += 60
        self.expire()
        return self.history, self.end()

    def told(self, kind: str, buyer: str, told: Told = Told.OK, **more: object) -> None:
        """Write a call down, with an interval around now; some answers are lost."""
        operation = Operation(kind, buyer, self.now - self.spread(), self.now + self.spread(), told, **more)
        if self.chance.random() < 0.02 and kind in ("hold", "buy"):
            operation = replace(operation, told=Told.UNKNOWN, state="", reason="", conflicts={})
            if kind == "hold":
                # Its client never learns the id.
                self.unknown.add(operation.hold_id)
                operation = replace(operation, hold_id="")
        self.history.append(operation)

    def spread(self) -> float:
        """Give the time that a message takes."""
        return self.chance.uniform(0.001, 0.05)

    def free(self, hold: Hold, state: str) -> None:
        """End a hold; its seats are free at once."""
        hold.state = state
        for seat in hold.seats:
            if self.defect is Defect.LOST_RELEASE and state == "RELEASED" and self.chance.random() < 0.5:
                continue
            if self.owners.get(seat) == hold.hold_id and seat not in self.sold:
                del self.owners[seat]

    def expire(self) -> None:
        """End the holds whose time has come."""
        for hold in [*self.held.values()]:
            if hold.state == "OPEN" and self.now >= hold.expires_at:
                self.free(hold, "EXPIRED")
                if (
                    self.defect is Defect.LATE_CONFIRM
                    and hold.hold_id not in self.unknown
                    and self.chance.random() < 0.5
                ):
                    self.now += 0.5
                    self.owners |= {seat: hold.hold_id for seat in hold.seats if seat not in self.owners}
                    self.buy(hold)

    def wish(self) -> tuple[str, tuple[str, ...]]:
        """Choose a buyer, and one to three seats."""
        seats = {f"A-{self.chance.randrange(self.seats)}" for _ in range(self.chance.randint(1, 3))}
        return f"b{self.chance.randrange(30)}", tuple(sorted(seats))

    def buy_at_once(self) -> None:
        """Buy seats in one step: the order makes a hold that no client sees."""
        buyer, seats = self.wish()
        if any(seat in self.owners for seat in seats):
            order_id = f"o{len(self.orders)}"
            self.orders[order_id] = OrderAtEnd("FAILED", seats)
            asked = {"seats": seats, "order_id": order_id, "request_id": order_id}
            self.told("buy", buyer, Told.REFUSED, reason="SEAT_UNAVAILABLE", **asked)
            return
        made = Hold(f"m{len(self.orders)}", buyer, seats, self.now + HOLD_SECONDS)
        self.owners |= dict.fromkeys(seats, made.hold_id)
        self.buy(made, shown_hold="")

    def hold(self) -> None:
        """Ask for one to three seats; some ask twice under one request id."""
        buyer, seats = self.wish()
        conflicts = {seat: "SOLD" if seat in self.sold else "HELD" for seat in seats if seat in self.owners}
        if conflicts and not (self.defect is Defect.REFUSAL_IGNORED and self.chance.random() < 0.02):
            self.told("hold", buyer, Told.REFUSED, seats=seats, reason="SEAT_UNAVAILABLE", conflicts=conflicts)
            return
        made = Hold(f"h{len(self.held)}", buyer, seats, self.now + HOLD_SECONDS)
        self.held[made.hold_id] = made
        self.owners |= {seat: made.hold_id for seat in seats if seat not in self.sold}
        if self.defect is Defect.NO_FENCE and not conflicts and self.chance.random() < 0.3:
            # A stale release of an earlier hold comes now.
            for seat in seats:
                self.owners.pop(seat, None)
        request_id = f"r-{made.hold_id}"
        known = {"seats": seats, "request_id": request_id, "expires_at": made.expires_at, "state": "OPEN"}
        self.told("hold", buyer, hold_id=made.hold_id, **known)
        if made.hold_id not in self.unknown and self.chance.random() < 0.1:
            again = f"{made.hold_id}x" if self.defect is Defect.OTHER_ANSWER else made.hold_id
            self.told("hold", buyer, hold_id=again, **known)

    def extend(self, hold: Hold) -> None:
        """Give a hold more time."""
        hold.expires_at = self.now + HOLD_SECONDS
        self.told("extend", hold.buyer, hold_id=hold.hold_id, expires_at=hold.expires_at)

    def release(self, hold: Hold) -> None:
        """Give a hold back."""
        self.free(hold, "RELEASED")
        self.told("release", hold.buyer, hold_id=hold.hold_id, state="RELEASED")

    def buy(self, hold: Hold, shown_hold: str | None = None) -> None:
        """Pay a hold with a card that is good, declined or given up by a cancel."""
        order_id, amount = f"o{len(self.orders)}", PRICE * len(hold.seats)
        asked = {
            "seats": hold.seats,
            "hold_id": hold.hold_id if shown_hold is None else shown_hold,
            "order_id": order_id,
            "request_id": order_id,
        }
        card = self.chance.random()
        if card < 0.3:
            state, effects = ("DECLINED", ["declined"]) if card < 0.2 else ("CANCELLED", ["authorized", "voided"])
            if self.defect is Defect.OPEN_AUTHORIZATION:
                effects = [effect for effect in effects if effect != "voided"]
            if self.defect is Defect.KEPT_MONEY and card < 0.02:
                effects = ["authorized", "captured"]
            self.ledger += [Moved(order_id, effect, amount) for effect in effects]
            self.free(hold, "RELEASED")
            self.orders[order_id] = OrderAtEnd(state, hold.seats, amount, hold.hold_id)
            reason = "PAYMENT_DECLINED" if state == "DECLINED" else "ORDER_CANCELLED"
            self.told("buy", hold.buyer, Told.REFUSED, reason=reason, **asked)
            return
        hold.state = "SOLD"
        got = hold.seats[:1] if self.defect is Defect.HALF_AN_ORDER else hold.seats
        self.sold |= dict.fromkeys(got, order_id)
        self.owners |= dict.fromkeys(got, hold.hold_id)
        if self.defect is Defect.WRONG_MAP and card > 0.95:
            self.shown_late |= {*got}
        self.ledger += [Moved(order_id, "authorized", amount), Moved(order_id, "captured", amount)]
        self.orders[order_id] = OrderAtEnd("CONFIRMED", hold.seats, amount, hold.hold_id)
        self.told("buy", hold.buyer, state="CONFIRMED", **asked)
        if self.chance.random() < 0.1:
            if self.defect is Defect.DOUBLE_CAPTURE:
                self.ledger.append(Moved(order_id, "captured", amount))
            self.told("buy", hold.buyer, state="CONFIRMED", **asked)
        if self.defect is Defect.FORGOTTEN_ORDER and card > 0.95:
            del self.orders[order_id]
            self.orders[f"{order_id}-gone"] = OrderAtEnd("")
        if len(self.sold) > self.seats // 2:
            # So that a long history does not run out of seats.
            self.seats += 20

    def look(self) -> None:
        """Look at a seat."""
        seat = f"A-{self.chance.randrange(self.seats)}"
        self.told("look", f"b{self.chance.randrange(30)}", seats=(seat,), state=self.status(seat))

    def status(self, seat: str) -> str:
        """Give a seat's status."""
        return "SOLD" if seat in self.sold else "HELD" if seat in self.owners else "AVAILABLE"

    def end(self) -> AtEnd:
        """Give what is there in the end."""
        seats = {}
        for number in range(self.seats):
            seat = f"A-{number}"
            status = self.status(seat)
            seats[seat] = SeatAtEnd(status, self.sold.get(seat, ""), "HELD" if seat in self.shown_late else status)
        orders = {order_id: order for order_id, order in self.orders.items() if order.state}
        return AtEnd(self.now, seats, orders, {h.hold_id: h.state for h in self.held.values()}, tuple(self.ledger))
