"""A process that makes load: reads what to do, gets ready, waits for the word, and tells what it saw.

    python -m bench.generator < load.json

Prints `ready`, begins at the next line of its input, then prints what it saw as one line of JSON. In a process of its
own, so that what it costs is known.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import IO, Final, Self, cast

import aiohttp
import msgspec
import uvloop

from bench.buyers import HoldCheckout, HoldOnly, HoldRelease, Sale, Visitors
from bench.ingress import IngressHoldCheckout, IngressSale, Noop
from bench.loads import Done, Kind, Load, Told
from bench.openloop import Phase, schedule
from bench.readers import MapSection, MapUnchanged, MapWhole
from bench.screens import Screens

Clock = Callable[[], float]
READY: Final = "ready"


KINDS: Final[Mapping[Kind, type[Visitors]]] = {
    "noop": Noop,
    "sale": Sale,
    "hold-checkout": HoldCheckout,
    "hold": HoldOnly,
    "hold-release": HoldRelease,
    "ingress-sale": IngressSale,
    "ingress-hold-checkout": IngressHoldCheckout,
    "map-section": MapSection,
    "map-whole": MapWhole,
    "map-unchanged": MapUnchanged,
    "screens": Screens,
}


class GeneratorError(Exception):
    """A generator ended without a word."""


async def crowd(visitors: Visitors, load: Load, clock: Clock = time.monotonic) -> Told:
    """Let as many visit at once as the load says, each again as soon as it is answered; with a rate, when they come.

    How long each took is counted from when it meant to come.
    """
    numbers, begun = itertools.count(), clock()

    async def visit(number: int, since: float) -> bool:
        try:
            reason = await visitors.visit(number)
        except (TimeoutError, aiohttp.ClientError) as error:
            reason = f"no answer: {type(error).__name__}"
        if reason is None:
            return False
        now = clock()
        visitors.told.visits.append(Done(now - begun, now - since, reason))
        return True

    async def worker() -> None:
        while clock() - begun < load.seconds and not visitors.told.ran_out:
            number = next(numbers)
            if (load.most and number >= load.most) or not await visit(number, clock()):
                return

    async with asyncio.TaskGroup() as group:
        if not load.per_second:
            for _ in range(load.concurrency):
                group.create_task(worker())
        else:
            phase = Phase(load.kind, load.seconds, load.per_second)
            for arrival in schedule([phase], {load.kind: 1.0}, load.seed):
                await asyncio.sleep(max(0.0, begun + arrival.at - clock()))
                group.create_task(visit(arrival.number, begun + arrival.at))
    visitors.told.seconds = clock() - begun
    return visitors.told


async def serve(told_to: IO[bytes], tells: IO[bytes]) -> None:
    """Do what one line of input says."""
    load = msgspec.json.decode(told_to.readline(), type=Load)
    visitors = KINDS[load.kind](load)
    await visitors.open()
    tells.write(f"{READY}\n".encode())
    tells.flush()
    await asyncio.to_thread(told_to.readline)
    before = time.process_time()
    if isinstance(visitors, Screens):
        await visitors.stay()
    else:
        await crowd(visitors, load)
    told = visitors.told
    told.cpu_seconds = time.process_time() - before
    await visitors.close()
    tells.write(msgspec.json.encode(told) + b"\n")
    tells.flush()


class Generator:
    """A generator process, as whoever measures sees it. `go` begins, `told` waits for the end."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.generator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._say(msgspec.json.encode(load))

    def __enter__(self) -> Self:
        """Wait until it is ready. Raises GeneratorError."""
        if self._hear().decode().strip() != READY:
            self.__exit__()
            raise GeneratorError(f"the load generator of {self._load.kind} did not begin; what it said is above")
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def go(self) -> None:
        """Begin."""
        self._say(b"go")

    def told(self) -> Told:
        """Wait for what it saw. Raises GeneratorError."""
        line = self._hear()
        if not line:
            raise GeneratorError(f"the load generator of {self._load.kind} ended without a word")
        return msgspec.json.decode(line, type=Told)

    def _say(self, line: bytes) -> None:
        pipe = cast("IO[bytes]", self._process.stdin)
        pipe.write(line + b"\n")
        pipe.flush()

    def _hear(self) -> bytes:
        return cast("IO[bytes]", self._process.stdout).readline()


def generate(load: Load) -> Told:
    """Make load and wait for its end. Raises GeneratorError."""
    with Generator(load) as generator:
        generator.go()
        return generator.told()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.stdin.buffer, sys.stdout.buffer))
