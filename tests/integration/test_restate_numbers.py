"""Restate exports the numbers that alerts and dashboard read."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

from services.cli.local import LocalStack
from tests.integration.modes import normal_mode_only

pytestmark = normal_mode_only("Restate's numbers")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_restate_has_every_number_that_the_page_promises(stack: LocalStack) -> None:
    """An upgrade of Restate that renames one would silence an alert."""
    promised = set(re.findall(r"^\| Restate \| `(\w+)`", PAGE.read_text(), re.MULTILINE))
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.ports.restate_node_port}/metrics", timeout=10) as answer:
        exported = set(re.findall(r"^# TYPE (\w+) ", answer.read().decode(), re.MULTILINE))
    assert promised
    assert promised <= exported
