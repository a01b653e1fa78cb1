"""What the payment simulator decides about money. Pure: no clock, no disk, no network.

`Bank.decide` looks and changes in one go, so requests that arrive together are decided one after
another; `Bank.replay` rebuilds the same state from the ledger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec

from simulators.ledger import Call, Effect, Entry

FLAKY_FAILURES = 3
"""How often `card_flaky` fails for each payment before it works."""


class Card(StrEnum):
    """Tokens of cards, named for how they behave."""

    SUCCESS = "card_success"
    DECLINE = "card_decline"
    ERROR = "card_error"
    FLAKY = "card_flaky"
    SLOW = "card_slow"
    RANDOM = "card_random"
    CAPTURE_DECLINE = "card_capture_decline"


class State(StrEnum):
    """Where the money of a payment is."""

    NONE = "none"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    REFUNDED = "refunded"
    DECLINED = "declined"


class Request(msgspec.Struct, frozen=True):
    """One request for a change. A void needs no amount."""

    payment_key: str
    idempotency_key: str
    call: Call
    amount_minor: int = 0
    currency_code: str = ""
    payment_method: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What the provider says: a status with the state that follows, or with an error's code."""

    status: int
    effect: Effect
    error: str = ""


class Payment(msgspec.Struct, omit_defaults=True):
    """One payment as lookup and list show it. `number`: its place in the list."""

    payment_key: str
    reference: str
    number: int
    updated_at: datetime
    state: State = State.NONE
    amount_minor: int = 0
    currency_code: str = ""
    payment_method: str = ""


class _Decided(msgspec.Struct, frozen=True):
    """An answer that repeats of its request get again."""

    request: Request
    answer: Answer


def reference_of(payment_key: str) -> str:
    """Give the provider's own name of a payment; the same whenever it is asked."""
    return "pay_" + hashlib.sha256(payment_key.encode()).hexdigest()[:24]


class Bank:
    """All payments of the simulator."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._payments: dict[str, Payment] = {}
        self._listed: list[Payment] = []
        self._decided: dict[tuple[str, str], _Decided] = {}
        self._failures: dict[str, int] = {}

    def lookup(self, payment_key: str) -> Payment | None:
        """Find a payment to which something has happened."""
        return self._payments.get(payment_key)

    def page(self, since: datetime | None, after: int, size: int) -> list[Payment]:
        """List at most `size` payments changed at or after `since`, oldest first, that follow number `after`."""
        found: list[Payment] = []
        for payment in self._listed[after:]:
            if since is None or payment.updated_at >= since:
                found.append(payment)
                if len(found) == size:
                    break
        return found

    def decide(self, request: Request, seq: int, at: datetime) -> Entry:
        """Decide a request and change the payment; gives the entry for the ledger."""
        first = self._decided.get((request.payment_key, request.idempotency_key))
        if first is not None and first.request == request:
            repeated = first.answer
            answer = Answer(repeated.status, Effect.NONE, repeated.error)
        elif first is not None:
            answer = _refused("idempotency_key_reused")
        else:
            answer = self._judge(request)
        entry = entry_of(request, answer, seq, at)
        self._apply(entry)
        return entry

    def replay(self, entries: Iterable[Entry]) -> None:
        """Do again what the ledger tells."""
        for entry in entries:
            self._apply(entry)

    def _judge(self, request: Request) -> Answer:
        payment = self._payments.get(request.payment_key)
        state = payment.state if payment else State.NONE
        match request.call:
            case Call.AUTHORIZE:
                return self._authorize(request, state)
            case Call.CAPTURE:
                return _capture(request, payment, state)
            case Call.VOID:
                return _void(state)
            case Call.REFUND:
                return _refund(request, payment, state)

    def _authorize(self, request: Request, state: State) -> Answer:
        if state is State.VOIDED:
            return _refused("voided")
        if state not in (State.NONE, State.DECLINED):
            return _refused("already_authorized")
        card, payment_key = request.payment_method, request.payment_key
        if card not in set(Card):
            return _refused("unknown_payment_method", 422)
        if card == Card.ERROR or (card == Card.FLAKY and self._failures.get(payment_key, 0) < FLAKY_FAILURES):
            return _failed()
        if card == Card.DECLINE or (card == Card.RANDOM and self._is_unlucky(payment_key)):
            return _declined()
        return Answer(200, Effect.AUTHORIZED)

    def _is_unlucky(self, payment_key: str) -> bool:
        return hashlib.sha256(f"{self._seed}:{payment_key}".encode()).digest()[0] % 2 == 1

    def _apply(self, entry: Entry) -> None:
        request = request_of(entry)
        if entry.effect is Effect.NONE:
            if entry.call is Call.AUTHORIZE and entry.error == "card_error":
                self._failures[entry.payment_key] = self._failures.get(entry.payment_key, 0) + 1
            return
        if entry.effect is not Effect.REFUSED:
            # A refusal is judged anew each time: it depends on what has happened since.
            self._decided[entry.payment_key, entry.idempotency_key] = _Decided(
                request, Answer(entry.status, entry.effect, entry.error)
            )
            self._change(entry)

    def _change(self, entry: Entry) -> None:
        payment = self._payments.get(entry.payment_key)
        if payment is None:
            key, number = entry.payment_key, len(self._listed) + 1
            payment = Payment(key, reference_of(key), number, entry.at)
            self._payments[key] = payment
            self._listed.append(payment)
        payment.updated_at = entry.at
        if entry.call is Call.AUTHORIZE:
            payment.amount_minor, payment.currency_code = entry.amount_minor, entry.currency_code
            payment.payment_method = entry.payment_method
        if entry.call is not Call.CAPTURE or entry.effect is not Effect.DECLINED:
            # A declined capture leaves the authorization where it was.
            payment.state = State(entry.effect)


def entry_of(request: Request, answer: Answer, seq: int, at: datetime) -> Entry:
    """Make the ledger's entry of a request and its answer."""
    return Entry(
        seq=seq,
        at=at,
        payment_key=request.payment_key,
        idempotency_key=request.idempotency_key,
        call=request.call,
        effect=answer.effect,
        status=answer.status,
        amount_minor=request.amount_minor,
        currency_code=request.currency_code,
        payment_method=request.payment_method,
        error=answer.error,
    )


def request_of(entry: Entry) -> Request:
    """Give the request that an entry tells of."""
    return Request(
        entry.payment_key,
        entry.idempotency_key,
        entry.call,
        entry.amount_minor,
        entry.currency_code,
        entry.payment_method,
    )


def _capture(request: Request, payment: Payment | None, state: State) -> Answer:
    if state in (State.VOIDED, State.CAPTURED, State.REFUNDED):
        return _refused("voided" if state is State.VOIDED else "already_captured")
    if payment is None or state is not State.AUTHORIZED:
        return _refused("not_authorized")
    if not _is_same_amount(request, payment):
        return _refused("amount_mismatch")
    if payment.payment_method == Card.CAPTURE_DECLINE:
        return _declined()
    return Answer(200, Effect.CAPTURED)


def _void(state: State) -> Answer:
    if state in (State.CAPTURED, State.REFUNDED):
        return _refused("already_captured")
    # Also where nothing was ever authorized: the void is remembered and refuses what comes later.
    return Answer(200, Effect.NONE if state is State.VOIDED else Effect.VOIDED)


def _refund(request: Request, payment: Payment | None, state: State) -> Answer:
    if state is State.REFUNDED:
        return _refused("already_refunded")
    if payment is None or state is not State.CAPTURED:
        return _refused("voided" if state is State.VOIDED else "not_captured")
    if not _is_same_amount(request, payment):
        return _refused("amount_mismatch")
    return Answer(200, Effect.REFUNDED)


def _is_same_amount(request: Request, payment: Payment) -> bool:
    return (request.amount_minor, request.currency_code) == (payment.amount_minor, payment.currency_code)


def _refused(error: str, status: int = 409) -> Answer:
    return Answer(status, Effect.REFUSED, error)


def _declined() -> Answer:
    return Answer(402, Effect.DECLINED, "card_declined")


def _failed() -> Answer:
    return Answer(503, Effect.NONE, "card_error")
