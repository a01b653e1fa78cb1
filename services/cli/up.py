"""`nexus up`, `nexus status` and `nexus logs`: the local stack as a person sees it."""

from __future__ import annotations

import asyncio
import fcntl
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.cli.demo import ensure_demo
from services.cli.errors import StackError
from services.cli.local import START_ORDER, LocalStack, answers
from services.common.code import SERVICES
from services.common.config import ENDPOINTS
from services.registrar.admin import Admin
from services.registrar.registration import EndpointAt, Registrar, Row, Status

ADMIN_SECONDS = 30.0


def up(stack: LocalStack, say: Callable[[str], None] = lambda _: None) -> str:
    """Start what does not run, register, make the demo event; give what to print. `say` hears of each step.

    Repeating it changes nothing. Raises StackError and what registration raises.
    """
    with alone(stack.home):
        started, changed = start_and_register(stack, say)
        if started:
            say("looking after the event demo")
        event_id = ensure_demo(stack)
    notes = [f"started {', '.join(started)}" if started else "everything was running"]
    if changed:
        notes.append(f"registered {', '.join(changed)}")
    return "\n".join([f"{'; '.join(notes)}.", *_welcome(stack, event_id)])


def start_and_register(stack: LocalStack, say: Callable[[str], None]) -> tuple[list[str], list[str]]:
    """Start what does not run or runs older code, register it; give what was started and what was registered."""
    started = stack.start_all(say)
    if started:
        say("registering the endpoints with Restate")
    rows, _ = asyncio.run(register(stack.admin_url, endpoints(stack), prune=True))
    stack.wait_ready("gateway", ready=True)
    return started, sorted({row.endpoint for row in rows if row.status is not Status.UNCHANGED})


def endpoints(stack: LocalStack) -> list[EndpointAt]:
    """Name the stack's endpoints for the registrar."""
    return [EndpointAt(name, stack.endpoint_url(name), SERVICES / name) for name in ENDPOINTS]


async def register(
    admin_url: str,
    found: Sequence[EndpointAt],
    *,
    dry_run: bool = False,
    breaking: bool = False,
    prune: bool = False,
    seconds: float = 60.0,
) -> tuple[list[Row], list[str]]:
    """Register endpoints; give the table and, with `prune`, the addresses that were taken away."""
    async with Admin(admin_url, min(seconds, ADMIN_SECONDS) if not dry_run else 5.0) as admin:
        registrar = Registrar(admin, dry_run=dry_run, breaking=breaking)
        rows = await registrar.register(found, seconds)
        return rows, await registrar.prune() if prune else []


def status(stack: LocalStack) -> list[dict[str, Any]]:
    """Tell of each component whether it runs and answers, and where."""
    table = []
    for component in START_ORDER:
        record = stack.processes.record(component)
        is_ready = record is not None and all(answers(url) for url in stack.health_urls(component))
        table.append(
            {
                "component": component,
                "state": "ready" if is_ready else "not answering" if record else "stopped",
                "pid": record.pid if record else None,
                "since": datetime.fromtimestamp(record.started_at, UTC).isoformat(timespec="seconds")
                if record
                else None,
                "ports": {name.removesuffix("_port"): port for name, port in stack.ports.of(component).items()},
                "log": str(stack.processes.log_file(component)),
            }
        )
    return table


def logs(stack: LocalStack, components: Sequence[str], lines: int, *, follow: bool) -> Iterator[str]:
    """Give the last lines of each log, and with `follow` every line that is added."""
    unknown = set(components) - set(START_ORDER)
    if unknown:
        raise StackError(f"there is no component {', '.join(sorted(unknown))}; choose from {', '.join(START_ORDER)}")
    chosen = components or START_ORDER
    places = {}
    for component in chosen:
        file = stack.processes.log_file(component)
        places[component] = file.stat().st_size if file.exists() else 0
        yield from (f"{component} | {line}" for line in stack.processes.tail(component, lines).splitlines())
    while follow:
        for component in chosen:
            for line in _added(stack.processes.log_file(component), places, component):
                yield f"{component} | {line}"
        time.sleep(0.3)


def _added(file: Path, places: dict[str, int], component: str) -> list[str]:
    if not file.exists():
        return []
    with file.open("rb") as log:
        log.seek(places[component])
        whole, newline, _ = log.read().rpartition(b"\n")
    places[component] += len(whole) + len(newline)
    return whole.decode(errors="replace").splitlines() if whole else []


def _welcome(stack: LocalStack, event_id: str) -> list[str]:
    nexus = _command("nexus", "nexus")
    header = '-H "authorization: Bearer $TOKEN"'
    hold = f'{{"event_id": "{event_id}", "seat_ids": ["A-1-1"]}}'
    buy = (
        f'{{"event_id": "{event_id}", "seat_ids": ["A-1-2"], "payment_method": "card_success", '
        '"email": "ada@example.org"}'
    )
    grpcurl = _command("grpcurl", "")
    if grpcurl:
        lines = [
            f"{grpcurl} -plaintext {header} -d '{body}' {stack.grpc_address} nexus.v1.{method}"
            for body, method in ((hold, "TicketService/HoldSeats"), (buy, "CheckoutService/Checkout"))
        ]
    else:
        lines = [
            f"{nexus} call {method} '{body}' --token \"$TOKEN\""
            for body, method in ((hold, "HoldSeats"), (buy, "Checkout"))
        ]
    return [
        f"Nexus is up: gRPC {stack.grpc_address}, HTTP {stack.gateway_url} (try it at {stack.gateway_url}/docs).",
        "Hold a seat, buy another:",
        f"TOKEN=$({nexus} token ada)",
        *lines,
        f"The steps of an order, by the order_id of its answer: {nexus} order ORDER_ID --as ada",
    ]


def _command(name: str, default: str) -> str:
    """Find a command as a person in the project's folder would type it."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        here = Path.cwd()
        return shlex.quote(str(beside.relative_to(here)) if beside.is_relative_to(here) else str(beside))
    return name if shutil.which(name) else default


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Keep a second command from starting the same stack at the same time."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"another `nexus` command is starting or stopping the stack in {home}") from None
        yield


def down(stack: LocalStack, *, wipe: bool) -> str:
    """Stop what `up` started, data kept unless `wipe`; give what to print."""
    with alone(stack.home):
        stopped = stack.stop_all()
        if wipe:
            stack.wipe()
    notes = [f"stopped {', '.join(stopped)}" if stopped else "nothing was running"]
    return "; ".join([*notes, "data removed" if wipe else "data kept"]) + "."
