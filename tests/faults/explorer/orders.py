"""What can happen next to orders and money: the steps of `process`, the provider's answers, cancels and crashes.

Which step comes next, what is stored before it and what its result means is all saga.py's own. The provider is
the payment simulator's own `Bank`, read by the services' own adapter.
"""

from __future__ import annotations

from services.checkout import domain as orders
from services.checkout import saga
from services.checkout.domain import EventInfo, Order
from services.checkout.payments import Outcome as Answer
from services.checkout.payments import _judge as judge
from services.checkout.saga import Held, Outcome, Result, Step
from services.checkout.steps import RESULTS
from services.common.errors import NexusError
from simulators.bank import Bank
from simulators.bank import Request as Asked
from simulators.ledger import Call, Effect
from tests.faults.explorer.model import Moves, World, sent, with_process
from tests.faults.explorer.state import SEATS, Claim, Message, Money, Process, Request, State, clock

PRICE = 9000
BAD_CARDS = ("card_decline", "card_capture_decline")
REQUESTS = {Step.HOLD: "hold", Step.BEGIN: "begin", Step.FINISH: "finish"}
RUNNING = ("ready", "called", "confirm", "revoke", "answered", "sleep")


class Sale(World):
    """The small world with its orders."""

    def moves(self, state: State) -> Moves:
        """Give everything that can happen next."""
        yield from self.clients(state)
        yield from self.mail(state)
        yield from self.timers(state)
        yield from self.requests(state)
        for order in range(len(state.processes)):
            yield from self.begin_order(state, order)
            yield from self.step(state, order)
            yield from self.trouble(state, order)
            yield from self.late(state, order)
        yield from self.time(state)

    # The client's side of an order.

    def begin_order(self, state: State, order: int) -> Moves:
        """Check out, with a good card or a bad one; a hold once it was acknowledged."""
        process, number = state.processes[order], self.plan.orders[order]
        if process.phase[0] != "new" or not (self.plan.is_one_step[number] or state.buyers[number].is_acknowledged):
            return
        yield f"o{order} is asked for", self._begun(state, order, "card_success")
        if state.left.faults:
            poorer = state._replace(left=state.left._replace(faults=state.left.faults - 1))
            for card in BAD_CARDS:
                yield f"o{order} is asked for with {card}", self._begun(poorer, order, card)

    def _begun(self, state: State, order: int, card: str) -> State:
        number = self.plan.orders[order]
        is_one_step = self.plan.is_one_step[number]
        made = orders.new_order(
            order_id=f"o{order}", owner=f"b{number}", fingerprint="f", event_id="gala",
            hold_id="" if is_one_step else f"h{number}", made_hold_id=f"h{number}",
            seat_ids=[SEATS[seat] for seat in self.plan.seats[number]] if is_one_step else [],
            payment_method=card, email="sealed", at=clock(0),
        )  # fmt: skip
        return with_process(state, order, Process(order=self.shelf.put(made), phase=("ready",)))

    # The steps of process.

    def step(self, state: State, order: int) -> Moves:
        """Take the next step, or take in how the last one ended."""
        process = state.processes[order]
        match process.phase[0]:
            case "ready":
                yield from self._next(state, order)
            case "answered":
                yield f"o{order} takes the answer: {process.phase[1]}", self._record(state, order, process.phase[1])
            case "sleep" if state.now >= process.phase[1] or self._is_woken(process):
                yield f"o{order} wakes up", self._record(state, order, Result.DONE)

    def _is_woken(self, process: Process) -> bool:
        return process.is_cancelled and not self.shelf[process.order].is_captured_tried

    def _next(self, state: State, order: int) -> Moves:
        process = state.processes[order]
        step, number, is_stored = self.shelf.once(("next", process.order), lambda: self._about_to(process.order))
        if step is None:
            yield f"o{order} has ended", with_process(state, order, process._replace(phase=("ended",)))
            return
        before = process.stored
        process = process._replace(order=number, stored=number if is_stored else before)
        label = f"o{order}: {step}"
        match step:
            case Step.AUTHORIZE | Step.CAPTURE | Step.VOID | Step.REFUND:
                yield from self._ask_provider(with_process(state, order, process), order, step, before)
            case Step.WAIT:
                until = state.now + int(self.shelf[number].wait_seconds or 0)
                yield label, with_process(state, order, process._replace(phase=("sleep", until)))
            case Step.CONFIRM | Step.REVOKE:
                yield label, self._ask_seats(with_process(state, order, process), order, step)
            case Step.HOLD | Step.BEGIN | Step.FINISH:
                requests = (*process.requests, Request(REQUESTS[step], number if step is Step.FINISH else 0))
                yield label, with_process(state, order, process._replace(phase=("called",), requests=requests))
            case _:
                yield label, self._record(with_process(state, order, process), order, Result.DONE)

    def _about_to(self, number: int) -> tuple[Step | None, int, bool]:
        step = saga.next_step(self.shelf[number])
        if step is None:
            return None, number, False
        return step, self.shelf.put(saga.about_to(self.shelf[number], step)), saga.is_stored_before(step)

    def _ask_seats(self, state: State, order: int, step: Step) -> State:
        process = state.processes[order]
        seats = [SEATS.index(seat_id) for seat_id in self.shelf[process.order].seat_ids]
        asked = [
            Message(10 + order, seat, str(step), self.plan.orders[order], order, is_awaited=True) for seat in seats
        ]
        phase = ("confirm", ("",) * len(seats)) if step is Step.CONFIRM else ("revoke", len(seats))
        return sent(with_process(state, order, process._replace(phase=phase)), *asked)

    def seat_answered(self, state: State, message: Message, answer: str) -> State:
        """Take a seat's answer; of confirms the first that is refused ends the step, in the seats' order."""
        order = message.order
        process = state.processes[order]
        if message.kind == "revoke":
            missing = process.phase[1] - 1
            state = with_process(state, order, process._replace(phase=("revoke", missing)))
            return state if missing else self._record(state, order, Result.DONE)
        seats = self.shelf[process.order].seat_ids
        place = seats.index(SEATS[message.seat])
        answers = (*process.phase[1][:place], answer, *process.phase[1][place + 1 :])
        state = with_process(state, order, process._replace(phase=("confirm", answers)))
        for known in answers:
            if known != "done":
                if known:
                    # The step ends here; what other seats answer is heard by nobody.
                    state = state._replace(
                        mail=tuple(self._unheard(m) if m.sender == 10 + order else m for m in state.mail)
                    )
                    return self._record(state, order, Result.REFUSED if known == "refused" else Result.UNKNOWN)
                return state
        return self._record(state, order, Result.DONE)

    def _unheard(self, message: Message) -> Message:
        return message._replace(is_awaited=False)

    def answered(self, state: State, claim: Claim | Request, answer: str, reason: str) -> State:
        """Take Buyer's answer to hold, begin or finish."""
        order = claim.order
        if not claim.is_awaited or order < 0:
            return state
        process, hold = state.processes[order], state.buyers[self.plan.orders[order]].hold
        step = saga.next_step(self.shelf[process.order])
        if step is Step.FINISH:
            return self._record(state, order, Result.DONE)
        if answer != "done":
            return self._record(state, order, Result.REFUSED, reason=reason)
        return self._record(state, order, Result.DONE, hold=hold)

    def _record(self, state: State, order: int, result: Result, *, reason: str = "", hold: int = 0) -> State:
        process = state.processes[order]
        key = ("record", process.order, result, reason, hold, state.now, process.is_cancelled)
        number, is_final = self.shelf.once(key, lambda: self._recorded(process, result, reason, hold, state.now))
        stored = number if is_final else process.stored
        after = process._replace(order=number, stored=stored, phase=("ended",) if is_final else ("ready",))
        return with_process(state, order, after._replace(is_cancelled=False) if is_final else after)

    def _recorded(self, process: Process, result: Result, reason: str, hold: int, now: int) -> tuple[int, bool]:
        order: Order = self.shelf[process.order]
        step = saga.next_step(order)
        assert step is not None
        held = None
        if hold:
            paying = self.shelf[hold]
            event = EventInfo("Gala", "Hall", clock(0))
            held = Held(paying.seats, paying.total, paying.pay_until, event, paying.created_at)
        heard = process.is_cancelled and step in (Step.AUTHORIZE, Step.WAIT, Step.CONFIRM)
        outcome = Outcome(result, clock(now), held=held, reason=reason, is_cancelled=heard)
        after = saga.record(order, step, outcome)
        if after.state.is_final:
            return self.shelf.put(orders.trimmed(after)), True
        return self.shelf.put(after), False

    # The provider.

    def _ask_provider(self, state: State, order: int, step: Step, before: int) -> Moves:
        process, money = state.processes[order], state.money[order]
        record: Order = self.shelf[process.order]
        label, call = f"o{order}: {step}", str(step)
        is_decisive = step in (Step.VOID, Step.REFUND)
        if not is_decisive and (record.pay_until is None or clock(state.now) > record.pay_until):
            phase = ("answered", Result.TOO_LATE, before)
            yield f"{label} comes too late", with_process(state, order, process._replace(phase=phase))
            return
        result, done = self._decided(money, call, record.payment_method)
        acted = _with_money(state, order, money._replace(done=done))
        if not (is_decisive and result is Result.UNKNOWN):
            # Void and refund are repeated until they are answered.
            phase = ("answered", result, before)
            yield f"{label}, the provider says {result}", with_process(acted, order, process._replace(phase=phase))
        if not state.left.faults:
            return
        left = state.left._replace(faults=state.left.faults - 1)
        lost = process._replace(phase=("ready",) if is_decisive else ("answered", Result.UNKNOWN, before))
        yield f"{label}, done and the answer lost", with_process(acted._replace(left=left), order, lost)
        if not is_decisive:
            yield f"{label}, the provider is away", with_process(state._replace(left=left), order, lost)
            late = _with_money(state._replace(left=left), order, money._replace(late=(*money.late, call)))
            yield f"{label}, no answer, it will arrive late", with_process(late, order, lost)

    def _decided(self, money: Money, call: str, card: str) -> tuple[Result, tuple[tuple[str, str], ...]]:
        return self.shelf.once(("bank", money.done, call, card), lambda: self._bank(money, call, card))

    def _bank(self, money: Money, call: str, card: str) -> tuple[Result, tuple[tuple[str, str], ...]]:
        bank = Bank(0)
        for name, _ in money.done:
            bank.decide(_asked(name, card), 0, clock(0))
        entry = bank.decide(_asked(call, card), 0, clock(0))
        answer = Answer.DONE if entry.status == 200 else judge(call, entry.status, entry.error)
        has_effect = entry.effect not in (Effect.NONE, Effect.REFUSED)
        return RESULTS[answer], (*money.done, (call, str(entry.effect))) if has_effect else money.done

    def late(self, state: State, order: int) -> Moves:
        """Let a call reach the provider that was given up long ago."""
        money = state.money[order]
        for index, call in enumerate(money.late):
            card = self._card(state.processes[order])
            _, done = self._decided(money, call, card)
            rest = money.late[:index] + money.late[index + 1 :]
            yield f"a late {call} of o{order} reaches the provider", _with_money(state, order, Money(done, rest))

    def _card(self, process: Process) -> str:
        # Bad cards cost the fault that a late call costs as well; a trimmed record has forgotten its card.
        return self.shelf[process.order].payment_method or "card_success"

    # Cancels and crashes.

    def trouble(self, state: State, order: int) -> Moves:
        """Cancel; kill the process before or after its step, with or without what it has under way; call it again."""
        process, left = state.processes[order], state.left
        if process.phase[0] == "dead":
            again = saga.resume(self.shelf[process.stored])
            phase = ("ended",) if again.state.is_final else ("ready",)
            after = process._replace(order=self.shelf.put(again), phase=phase)
            yield f"o{order} is called again", with_process(state, order, after)
        if process.phase[0] not in RUNNING or not process.stored:
            return
        if left.cancels and not process.is_cancelled and self._can_cancel(process.stored):
            cheaper = state._replace(left=left._replace(cancels=left.cancels - 1))
            yield f"o{order} is cancelled", with_process(cheaper, order, process._replace(is_cancelled=True))
        if left.crashes:
            state = state._replace(left=left._replace(crashes=left.crashes - 1))
            yield f"o{order} is killed", self._killed(state, order, process)
            if process.requests or any(message.sender == 10 + order for message in state.mail):
                yield f"o{order} is killed with all that it calls", self._killed(state, order, process, is_deep=True)
            if process.phase[0] == "answered":
                again = with_process(state, order, process._replace(phase=("ready",)))
                yield f"checkout dies before o{order}'s answer is journaled, and repeats the call", again
                if process.phase[2]:
                    older = process._replace(stored=process.phase[2])
                    yield f"o{order} is killed, its last record never stored", self._killed(state, order, older)

    def _can_cancel(self, number: int) -> bool:
        try:
            return orders.require_cancellable(self.shelf[number])
        except NexusError:
            return False

    def _killed(self, state: State, order: int, process: Process, *, is_deep: bool = False) -> State:
        number = self.plan.orders[order]
        requests = () if is_deep else tuple(request._replace(is_awaited=False) for request in process.requests)
        dead = process._replace(order=process.stored, phase=("dead",), is_cancelled=False, requests=requests)
        state = with_process(state, order, dead)
        buyer = state.buyers[number]
        mine = [10 + order]
        if buyer.claim is not None and buyer.claim.order == order:
            mine.append(number)
            claim = None if is_deep else buyer.claim._replace(is_awaited=False)
            state = state._replace(
                buyers=(*state.buyers[:number], buyer._replace(claim=claim), *state.buyers[number + 1 :])
            )
        if is_deep:
            kept = (message for message in state.mail if not (message.sender in mine and message.is_awaited))
            return state._replace(mail=tuple(kept))
        heard = (self._unheard(message) if message.sender == 10 + order else message for message in state.mail)
        return state._replace(mail=tuple(heard))


def _asked(call: str, card: str) -> Asked:
    return Asked("p", call, Call(call), PRICE, "EUR", card)


def _with_money(state: State, order: int, money: Money) -> State:
    return state._replace(money=(*state.money[:order], money, *state.money[order + 1 :]))
