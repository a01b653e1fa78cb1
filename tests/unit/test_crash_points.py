"""Crash points: every journal step of a handler has one, and a process dies at the point that is armed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import restate

from tests.faults.crashing import SILENT, STEPS, Places, Watched, file_of

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
    """An armed point kills the whole process group before the step, and is armed no more."""
    places = Places(tmp_path)
    point = "Ticket.reserve > set ticket"
    places.armed.joinpath(file_of(point)).touch()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        context = Context()
        Watched(context, "Ticket.reserve", places).set("ticket", 1)
        os._exit(len(context.did))
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert not any(places.armed.iterdir())
