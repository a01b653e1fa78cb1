"""What share of the seats reaches people when bots come for them too, with and without limits.

    python -m bench.bots [--seeds 5] [--bots 100] [--people 100]

A simulation on a clock of its own, repeatable from its seed: holds, timers, the limit per buyer, cool-downs and
buckets are the very functions of the services; seats, people and bots are the model described below. It says which
way a limit works and about how far, not what a sale will bring.

Bots are quick: they take four seats within half a second of seeing them free, keep them until the hold lapses, and
take the next; for one hold in ten they find somebody who pays. Ten of them share an address. A person looks at the map,
takes two seats after some seconds, pays after some minutes (one in twenty does not), and gives up after two hours.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from services.common.errors import BuyerCoolingDownError, BuyerLimitError
from services.common.money import Money
from services.common.seats import HeldSeat
from services.common.states import HoldState, OrderState
from services.gateway.ratelimit import ADDRESS_DEFAULTS, CALLER_DEFAULTS, CallClass, Limit, parse_limits
from services.gateway.ratelimit_store import LocalBuckets
from services.ticket import domain_buyer as domain
from services.ticket import domain_cooldown as cooldown
from services.ticket.domain_buyer import Hold, HoldList, OrderEntry, OrderList

BEGIN: Final = datetime(2030, 1, 1, tzinfo=UTC)
SEATS: Final = 400
LAST_SECONDS: Final = 3 * 3600.0
PATIENCE_SECONDS: Final = 2 * 3600.0
HOLD_SECONDS: Final = 900
MAX_SEATS_PER_BUYER: Final = 8
BOTS_PER_ADDRESS: Final = 10


@dataclass(frozen=True, slots=True)
class Rules:
    """What is switched on. `caller`, `address`: the limits on holds of one of them, None for none."""

    name: str
    has_cooldown: bool = False
    caller: Limit | None = None
    address: Limit | None = None


CALLER: Final = parse_limits((), CALLER_DEFAULTS).rates[CallClass.HOLDS]
ADDRESS: Final = parse_limits((), ADDRESS_DEFAULTS).rates[CallClass.HOLDS]
SCENARIOS: Final = (
    Rules("no limits"),
    Rules("the defaults", has_cooldown=True, caller=CALLER, address=ADDRESS),
    Rules("addresses: holds=0.02/4", has_cooldown=True, caller=CALLER, address=Limit(0.02, 4)),
    Rules("addresses: holds=0.005/4", has_cooldown=True, caller=CALLER, address=Limit(0.005, 4)),
)


@dataclass(slots=True)
class Buyer:
    """A person or a bot, and what its own object keeps."""

    name: str
    address: str
    is_bot: bool
    leaves_at: float
    seats: int
    holds: HoldList = field(default_factory=HoldList)
    orders: OrderList = field(default_factory=OrderList)
    is_waiting: bool = False


class Sale:
    """One sale from its first minute on."""

    def __init__(self, rules: Rules, seed: int, bots: int, people: int) -> None:
        self.rules = rules
        self.random = random.Random(seed)  # noqa: S311 - a simulation, repeatable from its seed
        self.now = 0.0
        self.free = {f"A-{number}" for number in range(SEATS)}
        self.sold = {True: 0, False: 0}
        self.refused = {"rate": 0, "cool-down": 0}
        self.buckets = LocalBuckets(clock=lambda: self.now)
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        made = [self._bot(number) for number in range(bots)] + [self._person(number) for number in range(people)]
        self.buyers = made

    def _bot(self, number: int) -> Buyer:
        address = f"10.0.0.{number // BOTS_PER_ADDRESS}"
        bot = Buyer(f"bot-{number}", address, is_bot=True, leaves_at=LAST_SECONDS, seats=4)
        self._at(self.random.uniform(0, 0.5), lambda: self._attempt(bot))
        return bot

    def _person(self, number: int) -> Buyer:
        comes_at = self.random.uniform(0, 1200)
        address, leaves_at = f"192.0.2.{number}", comes_at + PATIENCE_SECONDS
        person = Buyer(f"person-{number}", address, is_bot=False, leaves_at=leaves_at, seats=2)
        self._at(comes_at + self.random.uniform(5, 20), lambda: self._attempt(person))
        return person

    def _at(self, moment: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.events, (moment, next(self.order), what))

    def run(self) -> float:
        """Play the sale to its end; gives the share of all seats that people bought."""
        while self.events and self.events[0][0] <= LAST_SECONDS:
            self.now, _, what = heapq.heappop(self.events)
            what()
        return self.sold[False] / SEATS

    @property
    def _moment(self) -> datetime:
        return BEGIN + timedelta(seconds=self.now)

    def _attempt(self, buyer: Buyer) -> None:
        """Try to hold seats now, wait as told, or wait for seats."""
        buyer.is_waiting = False
        if self.now > buyer.leaves_at:
            return
        if len(self.free) < buyer.seats:
            buyer.is_waiting = True
            return
        wait = self._limited(buyer)
        if wait > 0:
            self.refused["rate"] += 1
            self._at(self.now + wait, lambda: self._attempt(buyer))
            return
        try:
            domain.require_within_limit(
                buyer.holds, buyer.orders, wanted=buyer.seats, limit=MAX_SEATS_PER_BUYER, now=self._moment
            )
            if self.rules.has_cooldown:
                cooldown.require_rested(buyer.holds, hold_seconds=HOLD_SECONDS, now=self._moment)
        except BuyerLimitError:
            return
        except BuyerCoolingDownError as refused:
            self.refused["cool-down"] += 1
            self._at(self.now + (refused.retry_seconds or 0), lambda: self._attempt(buyer))
            return
        self._hold(buyer)

    def _limited(self, buyer: Buyer) -> float:
        named = ((f"caller:{buyer.name}", self.rules.caller), (f"address:{buyer.address}", self.rules.address))
        return self.buckets.take_now([(name, limit) for name, limit in named if limit is not None])[1]

    def _hold(self, buyer: Buyer) -> None:
        chosen = self.random.sample(sorted(self.free), buyer.seats)
        self.free.difference_update(chosen)
        hold = domain.new_hold(
            hold_id=f"h-{next(self.order)}",
            event_id="gala",
            seats=[HeldSeat(seat_id, "std", "A", Money("EUR", 4500)) for seat_id in chosen],
            total=Money("EUR", 4500 * len(chosen)),
            hold_seconds=HOLD_SECONDS,
            event=("Gala", "Town Hall", BEGIN + timedelta(days=30)),
            now=self._moment,
        )
        self._keep(buyer, hold)
        pays = self.random.random() < (0.1 if buyer.is_bot else 0.95)
        if pays:
            self._at(self.now + self.random.uniform(60, 240), lambda: self._pay(buyer, hold))
        else:
            self._at(self.now + HOLD_SECONDS, lambda: self._lapse(buyer, hold))

    def _pay(self, buyer: Buyer, hold: Hold) -> None:
        self._keep(buyer, replace(hold, state=HoldState.SOLD, order_id=hold.hold_id))
        entry = OrderEntry(hold.hold_id, OrderState.CONFIRMED, len(hold.seats), self._moment)
        buyer.orders = domain.recorded(buyer.orders, entry)
        self.sold[buyer.is_bot] += len(hold.seats)
        if buyer.is_bot:
            self._attempt(buyer)

    def _lapse(self, buyer: Buyer, hold: Hold) -> None:
        ended = domain.on_timer(hold, due_at=hold.expires_at).ended
        if ended is None:
            raise RuntimeError("a hold that nobody paid has to end at its time")
        self._keep(buyer, ended)
        self.free.update(hold.seat_ids)
        buyer.is_waiting = True
        for one in self.buyers:
            if one.is_waiting:
                one.is_waiting = False
                seen_after = self.random.uniform(0.05, 0.5) if one.is_bot else self.random.uniform(3, 20)
                self._at(self.now + seen_after, lambda one=one: self._attempt(one))  # type: ignore[misc]

    def _keep(self, buyer: Buyer, hold: Hold) -> None:
        buyer.holds, _ = domain.listed(buyer.holds, hold)


def shares(rules: Rules, seeds: range, bots: int = 100, people: int = 100) -> list[float]:
    """Give the share of all seats that people bought, for each seed."""
    return [Sale(rules, seed, bots, people).run() for seed in seeds]


def main() -> None:
    """Print a line for each set of rules."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--bots", type=int, default=100)
    parser.add_argument("--people", type=int, default=100)
    given = parser.parse_args()
    wish = min(1.0, given.people * 2 / SEATS)
    # ruff: noqa: T201 - it is a command line
    print(f"{SEATS} seats, {given.bots} bots, {given.people} people who want {wish:.0%} of them, {given.seeds} seeds")
    for rules in SCENARIOS:
        found = shares(rules, range(given.seeds), given.bots, given.people)
        mean = sum(found) / len(found)
        print(f"{rules.name:26} people get {mean:6.1%} of the seats ({min(found):.1%} to {max(found):.1%})")


if __name__ == "__main__":
    main()
