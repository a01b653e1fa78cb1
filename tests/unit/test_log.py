"""Logs are JSON lines in which nothing secret or personal appears."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PROGRAM = """
import logging, structlog
from services.common import log
log.configure("ticket", "INFO")
logger = structlog.get_logger()
{body}
"""


def lines(body: str) -> list[dict[str, Any]]:
    """Run a program in a process of its own: logging is set up once per process."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_has_time_level_event_and_component() -> None:
    """In this order, for those who read it unformatted; what is below the level is not there."""
    [line] = lines('logger.debug("no"); logger.info("held", order_id="o1", seats=2)')
    assert list(line)[:4] == ["time", "level", "component", "event"]
    assert line["time"].endswith("Z")
    assert (line["level"], line["component"], line["event"], line["order_id"], line["seats"]) == (
        "info", "ticket", "held", "o1", 2,
    )  # fmt: skip


def test_secrets_and_addresses_are_hidden() -> None:
    """By name at any depth, and by form in any text, also in an exception's."""
    [first, second] = lines(
        """
logger.info("paid", email="x@y.org", headers={"Authorization": "Bearer abc", "a": ["to ada.l@example.org now"]},
            subject_key="hunter2", resume_token="hunter2", text="token eyJhbGciOiJ.eyJzdWIi.c2ln end")
try:
    raise ValueError("no mail to ada@example.org")
except ValueError:
    logger.exception("failed")
"""
    )
    text = json.dumps([first, second])
    for secret in ("x@y.org", "abc", "ada", "hunter2", "eyJzdWIi"):
        assert secret not in text
    assert first["headers"]["a"] == ["to [hidden] now"]
    assert "ValueError" in second["exception"]


def test_libraries_log_in_the_same_form() -> None:
    """The standard library's records are JSON lines too, with the same rules."""
    [line] = lines('logging.getLogger("lib").warning("sent to %s", "ada@example.org")')
    assert (line["level"], line["event"], line["logger"]) == ("warning", "sent to [hidden]", "lib")
