"""The stack that is attacked, and what must not happen to it: no traceback, no change of state, no growth.

A stack of its own: its state is small enough to be read as a whole after every few requests, nothing else
happens in it, and no other test's deliberate fault is in its logs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import grpc.aio
import pytest

from services.cli.local import START_ORDER, LocalStack
from services.cli.processes import Record
from tests.integration.behind import Behind
from tests.integration.booking import until
from tests.integration.client import Client, running
from tests.integration.doors import GrpcDoor, HttpDoor
from tests.integration.world import World, _make

SEED: Final = int(os.environ.get("NEXUS_HOSTILE_SEED", "7"))
"""Of everything that is chosen at random here."""

SHORT_CASES: Final = 400
CASES: Final = int(os.environ.get("NEXUS_HOSTILE_CASES", SHORT_CASES))
"""Cases made from the proto's descriptors, at both doors together; the long form is `python -m tests.hostile`."""

FRONT: Final = ("gateway", "ops")
"""What a stranger reaches: it writes no error whatever comes in."""

GROWTH_MB: Final = 128
"""By how much the gateway may grow while it is attacked: the 48 MB of answers that may wait (gateway/outbox.py), and
about 60 for those in the making beside them, or for an 8 MB event that is parsed. Unbounded, the HTTP door grows by
more than 200 in those seconds."""

_ERROR_LINE: Final = re.compile(rb'"level": ?"(error|critical)"')
_OWN_CALLS: Final = "target_service_key LIKE '%' AND target_handler_name <> 'ping'"


@dataclass
class Counts:
    """What was sent, and how it was answered."""

    by_code: dict[str, int] = field(default_factory=dict)
    compared: int = 0

    def add(self, code: str) -> None:
        """Count an answer."""
        self.by_code[code] = self.by_code.get(code, 0) + 1

    @property
    def sent(self) -> int:
        """How many cases there were."""
        return sum(self.by_code.values())

    def __str__(self) -> str:
        """Tell it in a line."""
        answered = ", ".join(f"{code} {number}" for code, number in sorted(self.by_code.items()))
        return f"{self.sent} cases, seed {SEED}; {answered}; state compared {self.compared} times"


class Target:
    """One stack with a world in it."""

    def __init__(self, stack: LocalStack, client: Client, behind: Behind, world: World) -> None:
        self.stack = stack
        self.client = client
        self.behind = behind
        self.world = world

    def record(self, component: str = "gateway") -> Record:
        """Give the record of a component that must be alive."""
        record = self.stack.processes.record(component)
        assert record is not None, f"{component} has died: {self.stack.processes.tail(component)}"
        return record

    def rss_mb(self, component: str = "gateway") -> float:
        """Tell how much memory a component has in use now."""
        return _kilobytes(self.record(component).pid, "VmRSS") / 1024

    def peak_mb(self, component: str = "gateway") -> float:
        """Tell how much it had at most since `forget_peak`."""
        return _kilobytes(self.record(component).pid, "VmHWM") / 1024

    def forget_peak(self, component: str = "gateway") -> None:
        """Let the peak begin anew. Source: proc(5), /proc/pid/clear_refs, 5."""
        Path(f"/proc/{self.record(component).pid}/clear_refs").write_text("5")

    @contextmanager
    def unharmed(self, component: str = "gateway") -> Iterator[None]:
        """Fail where what is done inside kills a process, leaves a traceback, or makes the component grow."""
        alive = {name: self.record(name) for name in START_ORDER}
        sizes, before = self.log_sizes(), self.rss_mb(component)
        self.forget_peak(component)
        yield
        assert {name: self.record(name) for name in START_ORDER} == alive, "a process has died and come again"
        self.check_logs(sizes)
        grown = self.peak_mb(component) - before
        assert grown < GROWTH_MB, f"{component} grew by {grown:.0f} MB, from {before:.0f}"

    def log_sizes(self) -> dict[str, int]:
        """Tell how long each component's log is."""
        files = {name: self.stack.processes.log_file(name) for name in START_ORDER}
        return {name: file.stat().st_size if file.exists() else 0 for name, file in files.items()}

    def check_logs(self, since: dict[str, int]) -> None:
        """Fail where any component wrote a traceback, or one that strangers reach an error."""
        for name, begin in since.items():
            with self.stack.processes.log_file(name).open("rb") as lines:
                lines.seek(begin)
                written = lines.read()
            assert b"Traceback" not in written, f"{name}: {_around(written, b'Traceback')}"
            found = _ERROR_LINE.search(written) if name in FRONT else None
            assert found is None, f"{name}: {_around(written, found.group() if found else b'')}"

    async def whole_state(self) -> str:
        """Hash all that Restate keeps for anybody."""
        return _hashed(await self.behind.query("SELECT service_name, service_key, key, value_utf8 FROM state"))

    async def verdicts(self) -> str:
        """Hash who has which seat, what the events are and what was paid.

        Not what a refused hold leaves by design: the buyer's record of it, and the revisions of seats that
        were taken for a moment and given back.
        """
        rows = await self.behind.query(
            "SELECT service_name, service_key, key, value_utf8 FROM state "
            "WHERE service_name IN ('Ticket', 'Event', 'Catalog')"
        )
        kept = [row if row["service_name"] != "Ticket" else _owner(row) for row in rows]
        async with self.client.session.get(f"{self.stack.payments_url}/ledger") as answer:
            entries = len((await answer.json())["entries"])
        return _hashed([row for row in kept if row]) + f" {entries}"

    async def rest(self) -> None:
        """Wait until nothing is on its way any more."""

        async def is_quiet() -> bool:
            sql = (
                f"SELECT id FROM sys_invocation WHERE status NOT IN ('completed', 'scheduled') AND {_OWN_CALLS} LIMIT 1"
            )
            return not await self.behind.query(sql)

        await until(is_quiet, "the stack to come to rest", 30)


def _owner(row: dict[str, Any]) -> dict[str, Any]:
    """Give of a ticket who has the seat; nothing where nobody has."""
    value = json.loads(row["value_utf8"])
    if not isinstance(value, dict) or value.get("status") in (None, "AVAILABLE"):
        return {}
    named = {name: value.get(name) for name in ("status", "hold_id", "order_id")}
    return {"service_name": "Ticket", "service_key": row["service_key"], "key": row["key"]} | named


def _hashed(rows: list[dict[str, Any]]) -> str:
    lines = sorted(json.dumps(row, sort_keys=True) for row in rows)
    return f"{len(lines)} {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"


def _kilobytes(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", text)[1])  # type: ignore[index]


def _around(written: bytes, what: bytes) -> str:
    place = written.find(what)
    return written[max(0, place - 500) : place + 3000].decode(errors="replace")


@pytest.fixture(scope="session")
def attacked_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with running(tmp_path_factory.mktemp("attacked")) as made:
        yield made


@pytest.fixture(scope="session")
async def target(attacked_stack: LocalStack) -> AsyncIterator[Target]:
    client = Client(attacked_stack)
    options = [("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 4 * 1024 * 1024)]
    async with (
        aiohttp.ClientSession() as session,
        grpc.aio.insecure_channel(attacked_stack.grpc_address, options) as channel,
    ):
        behind = Behind(attacked_stack, session)
        world = await _make(client, behind, HttpDoor(attacked_stack, session), GrpcDoor(channel))
        yield Target(attacked_stack, client, behind, world)
    await client.session.close()
