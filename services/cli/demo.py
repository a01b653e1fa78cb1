"""The first event: made from a file in examples/ through the gateway, as a client would."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

import yaml

from services.cli import token
from services.cli.errors import StackError
from services.cli.local import PROJECT, LocalStack

EVENT_ID: Final = "demo"
EVENT_FILE: Final = PROJECT / "examples" / "theatre.yaml"
ORGANIZER: Final = "demo-organizer"
READY_SECONDS: Final = 30.0


def ensure_demo(stack: LocalStack, file: Path = EVENT_FILE) -> str:
    """Create and publish the file's event as `demo` if it is not there; wait until it can be sold; give its id.

    Repeating it changes nothing, whatever has happened to the event since.
    """
    event_id = EVENT_ID
    signed = token.sign(stack.keys.auth_private_pem, ORGANIZER, ["organizer"], hours=1)
    status, found = _call(stack, "GET", f"/v1/events/{event_id}", signed)
    if status == 404:  # noqa: PLR2004
        event = yaml.safe_load(file.read_text()) | {"event_id": event_id}
        status, found = _call(stack, "POST", "/v1/events", signed, event)
    if status != 200:  # noqa: PLR2004
        raise StackError(f"the event {event_id} of {file} cannot be made: {status} {_text(found)}")
    if found.get("state") == "EVENT_STATE_DRAFT":
        status, found = _call(stack, "POST", f"/v1/events/{event_id}:publish", signed, {})
        if status != 200:  # noqa: PLR2004
            raise StackError(f"the event {event_id} cannot be published: {status} {_text(found)}")
    _wait_shown(stack, event_id, int(found["seat_count"]))
    return event_id


def _wait_shown(stack: LocalStack, event_id: str, seat_count: int) -> None:
    """Wait until a stranger sees the event with every seat on its map."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        status, found = _call(stack, "GET", f"/v1/events/{event_id}/seatmap")
        shown = sum(len(section.get("seats", ())) for section in found.get("sections", ()))
        # A very large map comes in pages; its first one will do.
        if status == 200 and (shown == seat_count or found.get("next_page_token")):  # noqa: PLR2004
            return
        if time.monotonic() > deadline:
            raise StackError(f"the seat map of {event_id} shows {shown} of {seat_count} seats: {status} {_text(found)}")
        time.sleep(0.1)


def _call(stack: LocalStack, method: str, path: str, signed: str = "", body: object = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body, default=_json).encode()
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {signed}"} if signed else {})
    request = urllib.request.Request(stack.gateway_url + path, data, headers, method=method)  # noqa: S310 - our gateway
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        content = error.read()
        try:
            return error.code, json.loads(content or b"{}")
        except ValueError:
            return error.code, {"error": {"message": content[:200].decode(errors="replace")}}
    except (urllib.error.URLError, OSError) as error:
        raise StackError(f"the gateway at {stack.gateway_url} does not answer: {error}") from error


def _json(value: object) -> str:
    """Write what YAML reads as a time in the form of the contract."""
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _text(found: Any) -> str:
    error = found.get("error", {}) if isinstance(found, dict) else {}
    return str(error.get("message", found))[:300]
