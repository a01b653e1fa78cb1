"""Crash points: every journal step of a handler has one, each is listed, and a process dies at the armed one."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path
from random import Random
from typing import Any

import pytest
import restate

from services.checkout.app import SERVICES as CHECKOUT
from services.seatmap.app import SERVICES as SEATMAP
from services.ticket.app import SERVICES as TICKET
from tests.faults.crashing import SILENT, STEPS, Places, Watched, file_of
from tests.faults.points import LIST, chosen, read_points

NOT_USED = {
    "attach_invocation", "cancel_invocation", "clear_all", "object_call", "object_send", "random", "reject_awakeable",
    "reject_signal", "resolve_signal", "run", "scope", "service_call", "service_send", "signal", "state_keys", "uuid",
    "workflow_call", "workflow_send",
}  # fmt: skip


class Context:
    """Stands in for the SDK's context."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def key(self) -> str:
        return "gala:A-1"

    def set(self, name: str, value: object) -> None:
        self.did.append(f"set {name}")

    async def run_typed(self, name: str, work: Any) -> Any:
        return await work()

    def uuid(self) -> str:
        return "?"


async def outside() -> str:
    return "done"


def test_each_step_of_the_sdk_has_a_point_or_is_used_by_no_handler() -> None:
    """A method of the context is a step with a point, journals nothing, or makes the wrapper raise."""
    known = {name for name in dir(restate.ObjectContext) if not name.startswith("_")}
    assert known == (set(STEPS) | SILENT | NOT_USED) - {"handler"}


def test_a_step_without_a_point_raises(tmp_path: Path) -> None:
    """A handler that takes up another way to journal fails every crash run until the step has a point."""
    with pytest.raises(NotImplementedError, match="uuid"):
        _ = Watched(Context(), "Ticket.reserve", Places(tmp_path)).uuid


def test_points_are_before_steps_and_after_effects(tmp_path: Path) -> None:
    """A step is seen under its name before it is taken, an outside effect once more before it is journaled."""
    places, context = Places(tmp_path), Context()
    ctx = Watched(context, "Checkout.process", places)
    ctx.set("hold:h-1", 1)
    assert ctx.key() == "gala:A-1"
    assert asyncio.run(ctx.run_typed("authorize", outside)) == "done"
    assert {path.read_text() for path in places.seen.iterdir()} == {
        "Checkout.process > set hold",
        "Checkout.process > run authorize",
        "Checkout.process * run authorize",
    }


def test_a_process_dies_once_at_the_armed_point(tmp_path: Path) -> None:
    """An armed point kills the process before the step, is armed no more, and the death is written down."""
    places = Places(tmp_path)
    point = "Ticket.reserve > set ticket"
    places.armed.joinpath(file_of(point)).touch()
    child = os.fork()
    if child == 0:
        context = Context()
        Watched(context, "Ticket.reserve", places).set("ticket", 1)
        os._exit(len(context.did))
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert not any(places.armed.iterdir())
    assert re.fullmatch(rf"\d+\.\d+ {point}\n", places.died.read_text())


def test_every_handler_is_in_the_list_of_points() -> None:
    """A handler whose answer is no point of the list would be passed over without a word; ping has no steps."""
    handlers = {
        f"{one.name}.{name}" for one in (*TICKET, *SEATMAP, *CHECKOUT) for name in one.handlers if name != "ping"
    }
    answered = {
        point.removesuffix(" < answer") for point in read_points(LIST.read_text()) if point.endswith(" < answer")
    }
    assert answered == handlers


def test_every_listed_point_is_of_a_known_step() -> None:
    """A line that no process can come to, because its step is misspelt or unknown, would fail every run."""
    steps = "|".join(name.removeprefix("generic_").removesuffix("_typed") for name in STEPS)
    form = rf"[A-Z][A-Za-z]+\.[a-z_]+ (< (answer|refusal)|> ({steps})( [a-z_ ]+)?|\* run [a-z ]+)"
    assert [point for point in read_points(LIST.read_text()) if not re.fullmatch(form, point)] == []


def test_a_point_that_no_run_comes_to_has_its_reason() -> None:
    """The reason stands behind the point; lines that begin with # and empty ones are none."""
    assert read_points("# head\n\nA.b < answer\nA.b > get c # after 30 days\n") == {
        "A.b < answer": "",
        "A.b > get c": "after 30 days",
    }


def test_the_seed_chooses_the_points_of_the_short_form() -> None:
    """The same seed gives the same third in the same order, another seed another one; there is always one."""
    points = [f"A.b > get {number}" for number in range(30)]
    third = chosen(points, Random(1), 1 / 3)
    assert third == chosen(reversed(points), Random(1), 1 / 3)
    assert len(set(third)) == 10
    assert set(third) != set(chosen(points, Random(2), 1 / 3))
    assert len(chosen(points[:1], Random(1), 1 / 3)) == 1
