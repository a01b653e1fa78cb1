"""Breadth first through every interleaving, and the shortest way to a state that must not be."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from services.ticket.domain import Ticket
from tests.faults.explorer.checks import broken
from tests.faults.explorer.orders import Sale
from tests.faults.explorer.state import SEATS, Buyer, Money, Plan, Process, State


@dataclass
class Found:
    """What a search saw. `depth`: steps from the start; `is_complete`: whether no state was left unseen."""

    plan: Plan
    states: int = 0
    moves: int = 0
    depth: int = 0
    seconds: float = 0.0
    is_complete: bool = False
    counterexample: str = ""
    ends: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """Give the counts on one line."""
        whole = "all of them" if self.is_complete else "not all"
        ends = ", ".join(f"{name} {count}" for name, count in sorted(self.ends.items()))
        return (
            f"{self.plan.name}: {self.states:,} distinct states ({whole}), {self.moves:,} moves, depth {self.depth}, "
            f"{self.seconds:.1f} s of CPU; states with orders ended: {ends or 'none'}"
        )


def start(sale: Sale) -> State:
    """Give the state in which nothing has happened."""
    free, plan = sale.shelf.put(Ticket()), sale.plan
    return State(
        0, (free,) * len(SEATS), (Buyer(),) * len(plan.seats), (Process(),) * len(plan.orders),
        (Money(),) * len(plan.orders), left=plan.left,
    )  # fmt: skip


def explore(plan: Plan, *, most_states: int, most_depth: int = 10_000) -> Found:
    """Walk until nothing new is found, an invariant breaks, or so many states were seen."""
    sale, found = Sale(plan), Found(plan)
    begun = time.process_time()
    first = start(sale)
    came: dict[State, State | None] = {first: None}
    layer = [first]
    while layer and not found.counterexample and len(came) < most_states and found.depth < most_depth:
        following = []
        for state in layer:
            for _, after in sale.moves(state):
                found.moves += 1
                if after in came:
                    continue
                came[after] = state
                following.append(after)
                if wrong := broken(sale, after):
                    found.counterexample = trace(sale, came, after, wrong)
                    break
                note_ends(sale, after, found.ends)
            if found.counterexample or len(came) >= most_states:
                break
        else:
            found.is_complete = not following
        found.depth += bool(following)
        layer = following
    found.states, found.seconds = len(came), time.process_time() - begun
    return found


def note_ends(sale: Sale, state: State, ends: Counter[str]) -> None:
    """Count how orders have ended, so that a search which never gets there is noticed."""
    for order, process in enumerate(state.processes):
        if process.phase[0] == "ended":
            ends[sale.shelf[process.order].state.name] += 1
            if any(effect == "refunded" for _, effect in state.money[order].done):
                ends["REFUNDED"] += 1


def trace(sale: Sale, came: dict[State, State | None], last: State, wrong: str) -> str:
    """Tell the way to a state, a line each: the time, what happened, and what changed by it."""
    path = [last]
    while (before := came[path[-1]]) is not None:
        path.append(before)
    path.reverse()
    lines = [f"{sale.plan.name}: {wrong}"]
    for number, (before, after) in enumerate(pairwise(path), 1):
        label = next(label for label, state in sale.moves(before) if state == after)
        old, new = shown(sale, before), shown(sale, after)
        changes = "; ".join(f"{name} {new[name]}" for name in new if new[name] != old[name])
        lines.append(f"{number:3}. t={after.now:<4} {label}{'  -> ' + changes if changes else ''}")
    return "\n".join(lines)


def shown(sale: Sale, state: State) -> dict[str, str]:
    """Describe seats, holds, orders and money for people."""
    told = {}
    for seat, number in enumerate(state.tickets):
        ticket = sale.shelf[number]
        told[SEATS[seat]] = " ".join(filter(None, (ticket.status.name, ticket.hold_id, ticket.order_id)))
    for number, buyer in enumerate(state.buyers):
        told[f"h{number}"] = sale.shelf[buyer.hold].state.name if buyer.hold else "-"
    for order, process in enumerate(state.processes):
        record = sale.shelf[process.order]
        told[f"o{order}"] = (record.verdict or record.state).name if record else "-"
        told[f"money of o{order}"] = ",".join(effect for _, effect in state.money[order].done) or "-"
    return told
