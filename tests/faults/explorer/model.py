"""What can happen next to seats and holds: clients, messages, timers and the clock.

What Buyer's and Ticket's handlers do around the domain's functions (which record is stored, what is sent and in
which order) is done here in their order; every decision is the domain's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from services.common.errors import NexusError, SeatUnavailableError
from services.common.money import Money as Price
from services.common.seats import HeldSeat
from services.common.states import HoldState
from services.ticket import domain as tickets
from services.ticket import domain_buyer as buyers
from services.ticket.domain_buyer import Hold
from tests.faults.explorer.state import (
    SEATS,
    Buyer,
    Claim,
    Message,
    Plan,
    Process,
    Request,
    Shelf,
    State,
    clock,
    elapsed,
)

HOLD_SECONDS = 60
LATE = 20
Moves = Iterator[tuple[str, State]]


class World:
    """The rules of the small world, for one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.shelf = Shelf()

    # Buyers.

    def clients(self, state: State) -> Moves:
        """Ask for a hold, extend it, release it; one buyer's calls wait for one another."""
        for number, buyer in enumerate(state.buyers):
            if self.plan.is_one_step[number] or buyer.claim is not None:
                continue
            if not buyer.has_asked:
                asked = buyer._replace(has_asked=True)
                yield f"buyer {number} asks for a hold", self.claim(with_buyer(state, number, asked), number, -1)
            if not (buyer.hold and buyer.is_acknowledged):
                continue
            hold = self.shelf[buyer.hold]
            if state.left.extends and (longer := _unless_refused(buyers.extend, hold, now=clock(state.now))):
                left = state.left._replace(extends=state.left.extends - 1)
                after = buyer._replace(hold=self.shelf.put(longer))
                yield f"buyer {number} extends its hold", with_buyer(state, number, after)._replace(left=left)
            released = _unless_refused(buyers.release, hold)
            if released is not None and released is not hold:
                yield f"buyer {number} releases its hold", self.ended(state, number, released)

    def claim(self, state: State, number: int, order: int, *, is_awaited: bool = True) -> State:
        """Begin a hold: record and timer first, then the first seat is asked."""
        wanted = self.plan.seats[number]
        hold = buyers.new_hold(
            hold_id=f"h{number}",
            event_id="gala",
            seats=[HeldSeat(SEATS[seat], "std", "A", Price("EUR", 4500)) for seat in wanted],
            total=Price("EUR", 4500 * len(wanted)),
            hold_seconds=HOLD_SECONDS,
            event=("Gala", "Hall", clock(0)),
            now=clock(state.now),
        )
        if order >= 0:
            # An order's own hold is born PAYING.
            made_by = f"o{order}"
            hold = buyers.begin_checkout(replace(hold, made_by=made_by), order_id=made_by, now=clock(state.now))
        made = self.shelf.put(hold)
        buyer = state.buyers[number]._replace(hold=made, claim=Claim(0, order, is_awaited))
        state = with_timer(with_buyer(state, number, buyer), elapsed(self.shelf[made].expires_at), number)
        return self._ask_seat(state, number, 0)

    def _ask_seat(self, state: State, number: int, place: int) -> State:
        hold = self.shelf[state.buyers[number].hold]
        at, deadline = elapsed(hold.created_at), elapsed(hold.hard_deadline)
        message = Message(number, self.plan.seats[number][place], "reserve", number, -1, at, deadline, is_awaited=True)
        return sent(state, message)

    def claimed(self, state: State, number: int, answer: str) -> State:
        """Take a seat's answer in: ask the next one, end the claim, or give it up, the seat in doubt included."""
        buyer = state.buyers[number]
        claim = buyer.claim
        assert claim is not None
        wanted = self.plan.seats[number]
        if answer == "done" and claim.place + 1 < len(wanted):
            state = with_buyer(state, number, buyer._replace(claim=claim._replace(place=claim.place + 1)))
            return self._ask_seat(state, number, claim.place + 1)
        if answer != "done":
            state = self._release(state, number, wanted[: claim.place + 1])
            state = with_buyer(state, number, buyer._replace(hold=0, claim=None))
            return self.answered(state, claim, "refused", SeatUnavailableError.reason)
        if claim.order < 0:
            return with_buyer(state, number, buyer._replace(claim=None, is_acknowledged=True))
        state = with_buyer(state, number, buyer._replace(claim=None))
        at = elapsed(self.shelf[buyer.hold].created_at)
        return self._begin(state, number, claim.order, at, is_awaited=claim.is_awaited)

    def answered(self, state: State, claim: Claim | Request, answer: str, reason: str) -> State:
        """Tell the process that asked; nobody where it is gone."""
        raise NotImplementedError

    def _begin(self, state: State, number: int, order: int, at: int, *, is_awaited: bool) -> State:
        buyer = state.buyers[number]
        asker = Claim(0, order, is_awaited)
        if not buyer.hold:
            return self.answered(state, asker, "refused", "HOLD_NOT_FOUND")
        try:
            paying = buyers.begin_checkout(self.shelf[buyer.hold], order_id=f"o{order}", now=clock(at))
        except NexusError as refusal:
            return self.answered(state, asker, "refused", refusal.reason)
        state = with_buyer(state, number, buyer._replace(hold=self.shelf.put(paying)))
        return self.answered(state, asker, "done", "")

    def requests(self, state: State) -> Moves:
        """Let Buyer take what a process asks, once no claim of its own is under way."""
        for order, process in enumerate(state.processes):
            number = self.plan.orders[order]
            if not process.requests or state.buyers[number].claim is not None:
                continue
            request, *rest = process.requests
            after = with_process(state, order, process._replace(requests=tuple(rest)))
            label = f"buyer {number} takes {request.kind} of o{order}"
            if request.kind == "hold":
                yield label, self.claim(after, number, order, is_awaited=request.is_awaited)
            elif request.kind == "begin":
                yield label, self._begin(after, number, order, state.now, is_awaited=request.is_awaited)
            else:
                yield label, self._finish(after, number, order, request)

    def _finish(self, state: State, number: int, order: int, request: Request) -> State:
        buyer, record = state.buyers[number], self.shelf[request.order]
        found = self.shelf[buyer.hold]
        verdict = buyers.finish_checkout(found, order_id=f"o{order}", outcome=record.verdict)
        if verdict.must_release:
            seat_ids = found.seat_ids if found else record.seat_ids
            state = self._release(state, number, tuple(SEATS.index(seat_id) for seat_id in seat_ids))
        state = with_buyer(state, number, buyer._replace(hold=self.shelf.put(verdict.hold)))
        return self.answered(state, Claim(0, order, request.is_awaited), "done", "")

    def ended(self, state: State, number: int, hold: Hold) -> State:
        """End a hold: its releases are sent before its state is changed."""
        state = self._release(state, number, self.plan.seats[number])
        return with_buyer(state, number, state.buyers[number]._replace(hold=self.shelf.put(hold)))

    def _release(self, state: State, number: int, seats: tuple[int, ...]) -> State:
        return sent(state, *(Message(number, seat, "release", number, -1) for seat in seats))

    # Timers and the clock.

    def timers(self, state: State) -> Moves:
        """Let a timer come that is due, once or twice, however late."""
        for due, number in sorted(set(state.timers)):
            buyer = state.buyers[number]
            if due > state.now or buyer.claim is not None:
                continue
            rest = list(state.timers)
            rest.remove((due, number))
            label = f"the timer of h{number} due at {due} comes"
            yield label, self._expire(state._replace(timers=tuple(rest)), number, due)
            if state.left.duplicates:
                left = state.left._replace(duplicates=state.left.duplicates - 1)
                yield f"{label}, and will come again", self._expire(state._replace(left=left), number, due)

    def _expire(self, state: State, number: int, due: int) -> State:
        found = self.shelf[state.buyers[number].hold]
        verdict = buyers.on_timer(found, due_at=clock(due))
        if verdict.ended is not None:
            return self.ended(state, number, verdict.ended)
        if verdict.next_due_at is not None:
            return with_timer(state, elapsed(verdict.next_due_at), number)
        return state

    def time(self, state: State) -> Moves:
        """Let time pass to the next instant at which some rule decides otherwise."""
        instants = {due for due, _ in state.timers}
        for buyer in state.buyers:
            if buyer.hold and (hold := self.shelf[buyer.hold]).is_live:
                instants |= {elapsed(hold.expires_at), elapsed(hold.hard_deadline)}
                if hold.state is HoldState.PAYING:
                    instants.add(elapsed(hold.pay_until) + 1)
        instants |= {elapsed(t.hard_deadline) for t in map(self.shelf.__getitem__, state.tickets) if t.hard_deadline}
        instants |= {process.phase[1] for process in state.processes if process.phase[0] == "sleep"}
        later = [instant for instant in instants if instant > state.now]
        if not later:
            return
        label, after, delays = f"time passes to {min(later)}", state._replace(now=min(later)), state.left.delays
        if not self._is_busy(state):
            yield label, after
        elif delays:
            yield f"{label}, all else is late", after._replace(left=state.left._replace(delays=delays - 1))

    def _is_busy(self, state: State) -> bool:
        """Tell whether something could be done at once."""
        if state.mail or (state.timers and state.timers[0][0] <= state.now):
            return True
        return any(
            process.requests
            or process.phase[0] in ("ready", "answered", "dead")
            or (process.phase[0] == "sleep" and process.phase[1] <= state.now)
            for process in state.processes
        )

    # Tickets.

    def mail(self, state: State) -> Moves:
        """Deliver a message to a Ticket: once, twice, or (a call that waits) with the answer in doubt."""
        last: tuple[int, int] = (-1, -1)
        for index, message in enumerate(state.mail):
            if (message.sender, message.seat) == last:
                continue
            last = (message.sender, message.seat)
            rest = state._replace(mail=state.mail[:index] + state.mail[index + 1 :])
            label = f"{message.kind} of {self._whose(message)} reaches {SEATS[message.seat]}"
            ticket, answer = self.decide(rest, message)
            there = with_ticket(rest, message.seat, ticket)
            yield label, self._answer(there, message, answer)
            if state.left.duplicates:
                left = state.left._replace(duplicates=state.left.duplicates - 1)
                again = sent(there._replace(left=left), message._replace(sender=LATE, is_awaited=False))
                yield f"{label}, and will again", self._answer(again, message, answer)
            if state.left.faults and message.is_awaited and message.kind != "revoke":
                left = state.left._replace(faults=state.left.faults - 1)
                yield f"{label}: no answer", self._answer(there._replace(left=left), message, "doubt")
                yield f"{label}: given up before", self._answer(rest._replace(left=left), message, "doubt")

    def _whose(self, message: Message) -> str:
        return f"h{message.hold}" if message.order < 0 else f"o{message.order}"

    def decide(self, state: State, message: Message) -> tuple[int, str]:
        """Ask Ticket's rules; gives the ticket after the message and what it answers."""
        # Only confirm asks the Ticket's own clock.
        at = state.now if message.kind == "confirm" else message.at
        key = (state.tickets[message.seat], message.kind, message.hold, message.order, at, message.deadline)
        return self.shelf.once(key, lambda: self._judge(state.tickets[message.seat], message, at))

    def _judge(self, number: int, message: Message, at: int) -> tuple[int, str]:
        ticket, hold_id, order_id = self.shelf[number], f"h{message.hold}", f"o{message.order}"
        seat_id = SEATS[message.seat]
        try:
            match message.kind:
                case "reserve":
                    after = tickets.reserve(
                        ticket, seat_id=seat_id, hold_id=hold_id, buyer="b", section_id="A", position=0,
                        hard_deadline=clock(message.deadline), now=clock(at),
                    )  # fmt: skip
                case "confirm":
                    after = tickets.confirm(ticket, hold_id=hold_id, order_id=order_id, now=clock(at))
                case "revoke":
                    after = tickets.revoke(ticket, order_id=order_id)
                case _:
                    after = tickets.release(ticket, hold_id=hold_id)
        except NexusError:
            return number, "refused"
        return self.shelf.put(after), "done"

    def _answer(self, state: State, message: Message, answer: str) -> State:
        if not message.is_awaited:
            return state
        if message.kind == "reserve":
            return self.claimed(state, message.hold, answer)
        return self.seat_answered(state, message, answer)

    def seat_answered(self, state: State, message: Message, answer: str) -> State:
        """Tell the process what a seat answered."""
        raise NotImplementedError


def _unless_refused(rule: Callable[..., Hold], hold: Hold, **more: Any) -> Hold | None:
    """Apply a rule to a hold; None where it is refused."""
    try:
        return rule(hold, **more)
    except NexusError:
        return None


def with_buyer(state: State, number: int, buyer: Buyer) -> State:
    """Put a buyer in place of the one before."""
    return state._replace(buyers=(*state.buyers[:number], buyer, *state.buyers[number + 1 :]))


def with_process(state: State, order: int, process: Process) -> State:
    """Put a process in place of the one before."""
    return state._replace(processes=(*state.processes[:order], process, *state.processes[order + 1 :]))


def with_ticket(state: State, seat: int, ticket: int) -> State:
    """Put a ticket in place of the one before."""
    return state._replace(tickets=(*state.tickets[:seat], ticket, *state.tickets[seat + 1 :]))


def with_timer(state: State, due: int, number: int) -> State:
    """Set a buyer's timer."""
    return state._replace(timers=tuple(sorted((*state.timers, (due, number)))))


def sent(state: State, *messages: Message) -> State:
    """Send messages: behind those of the same sender for the same seat."""
    return state._replace(mail=tuple(sorted((*state.mail, *messages), key=lambda message: message[:2])))
