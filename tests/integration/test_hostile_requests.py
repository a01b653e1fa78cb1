"""Thousands of requests made from the proto's descriptors: whatever comes of one, nothing breaks and nothing leaks.

The short form is part of every run; the long one is `python -m tests.hostile`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.hostile.attack import BATCH, SECONDS, Send, send_all
from tests.hostile.strategies import Case, grpc_cases, http_cases
from tests.hostile.target import CASES, SEED, Counts, Target
from tests.integration.doors import ROUTES, Outcome, http_form
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("both doors")

NAMES: Mapping[str, Sequence[str]] = {
    "event_id": ("$event", "$event", "$event", "$draft", "no-such-event"),
    "hold_id": ("$hold", "no-such-hold"),
    "order_id": ("$order", "$new"),
    "seat_id": ("A-1-1", "A-1-2", "A-2-1", "Z-9-9"),
    "seat_ids": tuple(f"A-{row}-{number}" for row in (1, 2, 3) for number in range(1, 11)),
    "section_id": ("A", "Z"),
    "category_id": ("std",),
    "row_id": ("1",),
    "currency_code": ("EUR",),
    "payment_method": ("card_success", "card_decline"),
    "email": ("a@example.org",),
    "request_id": ("k-1", "k-2", "k-3"),
    "page_token": ("", "MQ"),
    "resume_token": ("",),
    "paths": ("title", "venue", "sections"),
}
"""Good values by field; `$` names are those of the world."""

RPCS = [rpc for rpc in ROUTES if rpc != "EventService/CloseSales"]
"""A sale that a good request closes cannot be attacked any more."""

LIMITS = settings(
    max_examples=max(1, math.ceil(CASES / 2 / BATCH)),
    deadline=None,
    database=None,
    # Which case it was is in the message; to shrink it would need the same state again and again.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


async def over_grpc(target: Target, case: Case, token: str | None) -> Outcome:
    return await target.world.grpc.call(case.rpc, _filled(target, case.content), token, case.metadata, SECONDS)


async def over_http(target: Target, case: Case, token: str | None) -> Outcome:
    method, path, body = http_form(ROUTES[case.rpc], target.world.fill(_plain(case.content)))
    content = None if body is None else _json(body)
    headers = [(name, value) for name, value in case.metadata if isinstance(value, str)]
    return await target.world.http.send(method, path, token, content, headers)


def _filled(target: Target, data: bytes) -> bytes:
    """Put names of the world into a message; a length that is then wrong is one more thing that is wrong."""
    for name, value in target.world.names.items():
        sign = f"${name}".encode()
        data = data.replace(bytes([len(sign)]) + sign, bytes([len(value)]) + value.encode())
    return data.replace(b"\x04$new", b"\x04new1")


def _plain(value: Any) -> Any:
    """Make what is no JSON for our own writer into texts that `_json` writes as numbers again."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return f"@{value}@"
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _json(body: Any) -> bytes:
    import json

    return json.dumps(body).replace('"@', "").replace('@"', "").encode()


@pytest.mark.parametrize(("door", "cases"), [(over_grpc, grpc_cases), (over_http, http_cases)], ids=["grpc", "http"])
async def test_generated_requests_do_no_harm(target: Target, door: Any, cases: Any) -> None:
    """Each is answered or refused in the contract's words; what is refused changes nothing; memory stays bounded."""
    counts = Counts()
    send: Send = partial(door, target)
    batches = st.lists(cases(NAMES, RPCS), min_size=BATCH, max_size=BATCH)
    made: list[list[Case]] = []

    # Drawn first and sent then: hypothesis calls what it tests without a loop.
    @seed(SEED)
    @LIMITS
    @given(batches)
    def draw(batch: list[Case]) -> None:
        made.append(batch)

    draw()
    with target.unharmed():
        for batch in made:
            await send_all(target, send, batch, counts)
    print(f"\n{door.__name__}: {counts}")
    assert counts.sent >= CASES / 2 * 0.9
    # No trivial pass: most cases get past sign-in, some all the way, and most batches were compared.
    assert counts.by_code["INVALID_ARGUMENT"] > counts.sent / 4, counts
    assert counts.by_code["OK"] > counts.sent / 100, counts
    assert counts.by_code.get("RESOURCE_EXHAUSTED", 0) < counts.sent / 4, counts
    assert counts.compared > len(made) / 4, counts
