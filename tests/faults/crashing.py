"""An endpoint that dies where it is told: `python -m tests.faults.crashing ticket`, in place of `nexus run ticket`.

A wrapper round the context, which stands between a handler and the SDK, gives each journal step a named point:

    Ticket.reserve > set ticket               before the step
    Checkout.process * run authorize          after its effect on the world outside, before its result is journaled
    Checkout.process < answer                 after the last step, before the answer

A process that comes to a point whose file lies in the folder `armed` removes that file and dies of SIGKILL, with
its whole group. The folder `seen` has a file for each point that any process came to. Services know nothing of it.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.common import endpoint, handlers

FOLDER = "NEXUS_CRASH_FOLDER"

STEPS: dict[str, int | None] = {
    "get": 0,
    "set": 0,
    "clear": 0,
    "time": None,
    "sleep": None,
    "awakeable": None,
    "resolve_awakeable": None,
    "run_typed": 0,
    "generic_call": 1,
    "generic_send": 1,
}
"""The context's methods that write to the journal, and which argument names the step."""

SILENT = {"request", "key", "handler"}
"""Methods that journal nothing."""


def file_of(point: str) -> str:
    """Give a point's file name."""
    return point.replace("/", "_").replace(" ", "_")


class Places:
    """The armed points and those that were seen."""

    def __init__(self, folder: Path) -> None:
        self.armed, self.seen = folder / "armed", folder / "seen"
        for made in (self.armed, self.seen):
            made.mkdir(parents=True, exist_ok=True)
        self._noted: set[str] = set()

    def reach(self, point: str) -> None:
        """Come to a point: die there if it is armed."""
        name = file_of(point)
        if name not in self._noted:
            self._noted.add(name)
            self.seen.joinpath(name).write_text(point)
        try:
            self.armed.joinpath(name).unlink()
        except FileNotFoundError:
            return
        os.killpg(os.getpgid(0), signal.SIGKILL)


class Watched:
    """A context whose steps are points."""

    def __init__(self, ctx: Any, handler: str, places: Places) -> None:
        self._ctx, self._handler, self._places = ctx, handler, places

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ctx, name)
        if name in SILENT or not callable(found):
            return found
        if name not in STEPS:
            raise NotImplementedError(f"{name} is no step that tests/faults/crashing.py knows: give it a point")
        return functools.partial(self._step, name, found)

    def _step(self, name: str, step: Callable[..., Any], *given: Any, **more: Any) -> Any:
        place = STEPS[name]
        # A hold's id is another in each run; what it is the name of is not.
        told = "" if place is None or len(given) <= place else str(given[place]).partition(":")[0]
        label = " ".join(filter(None, (name.removeprefix("generic_").removesuffix("_typed"), told)))
        self._places.reach(f"{self._handler} > {label}")
        if name == "run_typed":
            given = (given[0], self._then_reach(given[1], f"{self._handler} * {label}"), *given[2:])
        return step(*given, **more)

    def _then_reach(self, work: Callable[..., Any], point: str) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(work):

            @functools.wraps(work)
            async def waited(*given: Any, **more: Any) -> Any:
                done = await work(*given, **more)
                self._places.reach(point)
                return done

            return waited

        @functools.wraps(work)
        def done_at_once(*given: Any, **more: Any) -> Any:
            done = work(*given, **more)
            self._places.reach(point)
            return done

        return done_at_once


def install(places: Places) -> None:
    """Wrap the context of every handler that is defined from now on."""
    register = handlers._register

    def watched(definition: Any, target: Any, handle: Any, fn: Any, **more: Any) -> None:
        name = f"{target.service}.{target.handler}"

        async def handler(ctx: Any, request: Any) -> Any:
            answer = await handle(Watched(ctx, name, places), request)
            places.reach(f"{name} < answer")
            return answer

        register(definition, target, handler, fn, **more)

    handlers._register = watched


def main(component: str) -> None:
    """Serve as the component, with points."""
    install(Places(Path(os.environ[FOLDER])))
    endpoint.run(component, f"services.{component}.app", os.environ)


if __name__ == "__main__":
    main(sys.argv[1])
