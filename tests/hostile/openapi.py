"""Runs schemathesis against a component's /openapi.json: requests from the document, answers checked against it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
WATCHES: Final = ":watch$"
"""Streams: their answers have no end."""

_SUMMARY: Final = re.compile(r"(\d+) generated")


class Run(NamedTuple):
    """How it ended: the exit code of schemathesis, how many requests it made, and what it printed."""

    code: int
    cases: int
    report: str


def attack(url: str, token: str | None, *, seed: int, examples: int, phases: str, seconds: float) -> Run:
    """Attack one component. `examples`: at most so many for an operation and phase; `token`: None for nobody's."""
    argv = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "--no-color", "run"]
    argv += [f"{url}/openapi.json", "--exclude-path-regex", WATCHES, "--phases", phases]
    argv += ["--seed", str(seed), "--max-examples", str(examples), "--generation-database", "none"]
    argv += ["--continue-on-failure", "--request-timeout", "20", "--warnings", "off", "--no-shrink"]
    if token:
        argv += ["--header", f"Authorization: Bearer {token}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=seconds, cwd=CONFIG.parent)
    found = _SUMMARY.search(done.stdout)
    return Run(done.returncode, int(found[1]) if found else 0, done.stdout + done.stderr)
