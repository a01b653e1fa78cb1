"""An endpoint that dies where it is told: `python -m tests.faults.crashing ticket`, in place of `nexus run ticket`.

A wrapper round the context, which stands between a handler and the SDK, gives each journal step a named point:

    Ticket.reserve > set ticket               before the step
    Checkout.process * run authorize          after its effect on the world outside, before its result is journaled
    Checkout.process < answer                 after the last step, before the answer
    Ticket.reserve < refusal                  the same, where the answer is a refusal

A process that comes to a point whose file lies in the folder `armed` removes that file and dies of SIGKILL. The
folder `seen` has a file for each point that any process came to; the file `died` has a line for each death, with its
time. Services know nothing of it.

The process that runs the handlers is granian's worker. Its parent, which else would end with it, has imported all
that a worker needs and forks the next one at once: so a death costs a tenth of a second and not an interpreter.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import restate
from granian.server.mp import MPServer

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
    """The armed points, those that were seen, and the deaths in their order."""

    def __init__(self, folder: Path) -> None:
        self.armed, self.seen, self.died = folder / "armed", folder / "seen", folder / "died"
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
        with self.died.open("a") as deaths:
            # One short write: of several processes none tears another's line.
            deaths.write(f"{time.time():.3f} {point}\n")
        os.kill(os.getpid(), signal.SIGKILL)


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
            try:
                answer = await handle(Watched(ctx, name, places), request)
            except restate.TerminalError:
                places.reach(f"{name} < refusal")
                raise
            places.reach(f"{name} < answer")
            return answer

        register(definition, target, handler, fn, **more)

    handlers._register = watched


class Respawning(MPServer):
    """Granian's parent, which lives on when its worker dies of SIGKILL.

    Not its own `respawn_failed_workers`: that gives up where a worker dies twice in 5.5 s.
    """

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait()
            self.main_loop_interrupt.clear()
            if self.interrupt_signal or not self.interrupt_children:
                continue
            if self.wrks[0].inner.exitcode != -signal.SIGKILL:
                # It ended of something else, which would happen to the next one as well.
                break
            self.interrupt_children.clear()
            self._respawn_workers([0], spawn_target, target_loader)


def main(component: str) -> None:
    """Serve as the component, with points."""
    install(Places(Path(os.environ[FOLDER])))
    # Before the fork, so that no worker has to: it only opens its socket and its connections.
    importlib.import_module(f"services.{component}.app")
    # By its name in that module: services have no setting for what only a crash run needs.
    vars(endpoint)["Granian"] = Respawning
    endpoint.run(component, f"services.{component}.app", os.environ)


if __name__ == "__main__":
    main(sys.argv[1])
