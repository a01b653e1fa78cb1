"""What the further faults are judged by, and that they break what they say."""

from __future__ import annotations

import asyncio
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import restate

from services.common import handlers
from services.common.messages import Target
from tests.faults import more_clock, raising
from tests.faults.more import MORE
from tests.faults.more_clock import moved, number
from tests.faults.more_processes import asked_again, wholly, without_usable_answer
from tests.faults.more_raising import named

PAGE = """# HELP http_server_requests_total HTTP requests answered.
http_server_requests_total{method="POST",route="/v1/orders",status="200"} 31.0
http_server_requests_total{method="POST",route="/v1/orders",status="503"} 2.0
http_server_requests_total{method="GET",route="/v1/orders/{order_id}",status="504"} 1.0
http_server_requests_created{method="POST",route="/v1/orders",status="503"} 9.0
nexus_unsigned_calls_total 7.0
nexus_invocation_attempts_total{service="",handler=""} 7.0
nexus_invocation_attempts_total{service="Ticket",handler="get"} 4.0
"""


def entry(key: str, effect: str, payment: str = "o1") -> dict[str, Any]:
    return {"payment_key": payment, "idempotency_key": key, "effect": effect}


def test_a_step_that_was_answered_and_asked_again_was_done_twice() -> None:
    """A repeat after an answer that decided is named; one after no decision, and another order's, is not."""
    entries = [
        entry("o1:authorize", "none"),
        entry("o1:authorize", "authorized"),
        entry("o1:capture", "captured"),
        entry("o1:authorize", "authorized", payment="o2"),
        entry("o1:capture", "none"),
    ]
    assert asked_again(entries) == ["o1:capture"]


def test_answers_that_leave_a_client_in_doubt_are_counted() -> None:
    """By their status, over all routes; other numbers of the page do not count."""
    assert without_usable_answer(PAGE) == 3


def test_all_series_of_a_number_are_added() -> None:
    """With labels and without; a longer name is another number."""
    assert number(PAGE, "nexus_invocation_attempts_total") == 11
    assert number(PAGE, "nexus_unsigned_calls_total") == 7
    assert number(PAGE, "nexus_unsigned_calls") == 0


def test_times_are_moved() -> None:
    """Across midnight, and in the form in which they came."""
    assert moved("2026-11-21T23:59:59Z", 2) == "2026-11-22T00:00:01+00:00"


def test_only_what_is_stuck_with_the_planted_error_is_named() -> None:
    """Something that is slow, or stuck for another reason, is not what was planted."""
    told = [
        {"service": "Ticket", "key": "e:A-1", "severity": "SEVERITY_STUCK", "why": f"attempt 3 failed: {raising.TEXT}"},
        {"service": "Ticket", "key": "e:A-2", "severity": "SEVERITY_STUCK", "why": "attempt 3 failed: boom"},
        {"service": "Ticket", "key": "e:A-3", "severity": "SEVERITY_SLOW", "why": raising.TEXT},
    ]
    assert named(told) == {("Ticket", "e:A-1")}


async def test_what_has_begun_is_done_to_its_end() -> None:
    """A fault that is told to end in the middle ends once nothing is half done."""
    begun, done = asyncio.Event(), []

    async def work() -> None:
        begun.set()
        await asyncio.sleep(0.05)
        done.append("work")

    task = asyncio.create_task(wholly(work()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["work"]


async def test_a_handler_raises_for_the_key_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For that key, as long as it is named; for others it answers."""
    made: list[Any] = []
    monkeypatch.setattr(handlers, "_register", lambda *given, **_more: made.append(given[2]))
    raising.install(tmp_path)
    target: Target[str, str] = Target("Ticket", "release", str, str)

    async def answer(_ctx: object, request: str) -> str:
        return request

    handlers.private(restate.VirtualObject("Ticket"), target)(answer)
    place = raising.place_of(tmp_path, "Ticket.release", "gala:A-1")

    class Context:
        def __init__(self, key: str) -> None:
            self._key = key

        def key(self) -> str:
            return self._key

    place.touch()
    with pytest.raises(raising.PlantedError):
        await made[0](Context("gala:A-1"), "x")
    assert await made[0](Context("gala:A-2"), "x") == "x"
    place.unlink()
    assert await made[0](Context("gala:A-1"), "x") == "x"


@pytest.mark.skipif(bool(more_clock.why_not()), reason=more_clock.why_not())
def test_a_clock_is_moved_while_its_process_runs(tmp_path: Path) -> None:
    """The wall clock jumps by what the file says; the clock by which processes wait does not."""
    library, file = tmp_path / "clock.so", tmp_path / "by"
    more_clock._build(library)
    file.write_bytes(struct.pack("=q", 0))
    program = "import time\nwhile input(): print(time.time(), time.monotonic(), flush=True)"
    environ = os.environ | {"LD_PRELOAD": str(library), "NEXUS_CLOCK_FILE": str(file)}
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ahead() -> tuple[float, float]:
            process.stdin.write("now\n")
            process.stdin.flush()
            wall, waits = map(float, process.stdout.readline().split())
            return round((wall - time.time()) / 60), round((waits - time.monotonic()) / 60)

        assert ahead() == (0, 0)
        with file.open("r+b") as open_file:
            open_file.write(struct.pack("=q", 600))
        assert ahead() == (10, 0)
        with file.open("r+b") as open_file:
            open_file.write(struct.pack("=q", -600))
        assert ahead() == (-10, 0)
        process.stdin.close()
        process.kill()


def test_a_fault_without_a_rate_says_why() -> None:
    """I9 is asked of every fault; one that is excepted says so where readers of the table see it."""
    assert all(fault.least > 0 or "no rate is asked" in fault.how for fault in MORE)
    assert len({fault.name for fault in MORE}) == len(MORE)
