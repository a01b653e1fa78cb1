"""Every interleaving of two buyers on two seats: the explorer finds nothing, and finds what is planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from services.checkout import saga
from services.checkout.domain import Order
from services.checkout.saga import Step
from services.common.states import HoldState, SeatStatus
from services.ticket import domain as tickets
from services.ticket import domain_buyer as buyers
from tests.faults.explorer.plans import SAME_SEAT, SHORT
from tests.faults.explorer.search import explore
from tests.faults.explorer.state import NOTHING, Plan

ENDS = {"CONFIRMED", "DECLINED", "EXPIRED", "CANCELLED", "FAILED", "REFUNDED"}


def test_no_interleaving_breaks_an_invariant(capsys: pytest.CaptureFixture[str]) -> None:
    """I1-I4 hold in each of 300,000 states of the small worlds, all that can be reached, 30 steps deep and more."""
    found = [explore(plan, most_states=1_000_000) for plan in SHORT]
    with capsys.disabled():
        print("", *found, sep="\n")  # noqa: T201  the counts are part of the result
    assert [search.counterexample for search in found] == [""] * len(SHORT)
    assert all(search.is_complete and search.depth >= 30 for search in found)
    assert sum(search.states for search in found) >= 300_000
    assert max(search.states for search in found) >= 100_000
    assert {name for search in found for name, count in search.ends.items() if count} == ENDS


def plan(orders: tuple[int, ...] = (0, 1), **left: int) -> Plan:
    return Plan("both want one seat", SAME_SEAT, (False, True), orders, NOTHING._replace(**left))


def reserve_what_is_held(rule: Callable[..., Any]) -> Callable[..., Any]:
    def reserve(ticket: tickets.Ticket, **more: Any) -> tickets.Ticket:
        return rule(tickets.Ticket() if ticket.status is SeatStatus.HELD else ticket, **more)

    return reserve


def release_without_fence(_rule: Callable[..., Any]) -> Callable[..., Any]:
    def release(ticket: tickets.Ticket, *, hold_id: str) -> tickets.Ticket:
        return tickets.Ticket() if ticket.status is SeatStatus.HELD else ticket

    return release


def confirm_without_fence(_rule: Callable[..., Any]) -> Callable[..., Any]:
    def confirm(ticket: tickets.Ticket, *, hold_id: str, order_id: str, now: object) -> tickets.Ticket:
        sold = replace(ticket, status=SeatStatus.SOLD, hold_id=hold_id, order_id=order_id)
        return replace(sold, hard_deadline=None)

    return confirm


def begin_an_ended_hold(rule: Callable[..., Any]) -> Callable[..., Any]:
    def begin(hold: buyers.Hold, **more: Any) -> buyers.Hold:
        return rule(replace(hold, state=HoldState.OPEN), **more)

    return begin


def timer_that_comes_once(rule: Callable[..., Any]) -> Callable[..., Any]:
    def on_timer(hold: buyers.Hold | None, **more: Any) -> buyers.TimerVerdict:
        return replace(rule(hold, **more), next_due_at=None)

    return on_timer


def finish_that_releases_nothing(rule: Callable[..., Any]) -> Callable[..., Any]:
    def finish(hold: buyers.Hold | None, **more: Any) -> buyers.FinishVerdict:
        return replace(rule(hold, **more), must_release=False)

    return finish


def saga_without(step: Step) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def planted(rule: Callable[[Order], Step | None]) -> Callable[[Order], Step | None]:
        def next_step(order: Order) -> Step | None:
            found = rule(order)
            return rule(replace(order, done=[*order.done, step])) if found is step and order.verdict else found

        return next_step

    return planted


@pytest.mark.parametrize(
    ("module", "name", "defect", "where", "invariant"),
    [
        (tickets, "reserve", reserve_what_is_held, plan(), "I1"),
        (tickets, "release", release_without_fence, plan(), "I1"),
        (tickets, "confirm", confirm_without_fence, plan(delays=3), "I1"),
        (buyers, "begin_checkout", begin_an_ended_hold, plan((0, 0, 1)), "I1"),
        (buyers, "on_timer", timer_that_comes_once, plan(delays=1), "I4"),
        (buyers, "finish_checkout", finish_that_releases_nothing, plan(crashes=1), "I4"),
        (saga, "next_step", saga_without(Step.REVOKE), plan(crashes=1), "I3"),
        (saga, "next_step", saga_without(Step.VOID), plan(crashes=1), "I2"),
        (saga, "next_step", saga_without(Step.REFUND), plan(crashes=1), "I2"),
    ],
)
def test_a_planted_defect_is_found_and_shown_as_a_trace(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, defect: Any, where: Plan, invariant: str
) -> None:
    """One pure function replaced by a wrong one: the search ends with the invariant and the steps that lead there."""
    assert not explore(where, most_states=20_000).counterexample
    monkeypatch.setattr(module, name, defect(getattr(module, name)))
    found = explore(where, most_states=50_000)
    first, *steps = found.counterexample.splitlines()
    assert first.startswith(f"both want one seat: {invariant}: "), found
    assert len(steps) == found.depth
    assert steps[0].strip().startswith("1. t=0 ")
