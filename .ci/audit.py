"""Look up every package of requirements/ in the list of known vulnerabilities. Runs as `python .ci/audit.py PIP_AUDIT`.

Ends with 1 and a line for each vulnerability. Where the list cannot be reached, or answers that it knows none of
the packages (as a mirror does that has packages and no list), it says so with `skipped:` and ends with 0.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
SECONDS: Final = 300
"""Longest for one file; some hundred questions, a few a second."""

UNREACHABLE: Final = (
    "Could not connect to",
    "not redirecting properly",
    "exceptions.ConnectionError",
    "ReadTimeout",
    "interface.ServiceError",
)
"""Parts of what pip-audit says where its list does not answer. Source: pip_audit/_service/pypi.py 2.10.1; requests."""


@dataclass(frozen=True)
class Verdict:
    """What was found out about one file."""

    lines: tuple[str, ...]
    is_reached: bool
    is_clean: bool


def judge(name: str, code: int, output: str, errors: str) -> Verdict:
    """Read what pip-audit answered about a file: its exit code, the JSON on stdout, and stderr."""
    try:
        found: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = (errors.strip().splitlines() or [f"exit code {code}"])[-1]
        if any(part in errors for part in UNREACHABLE):
            return Verdict(
                (f"skipped: {name}: the list of vulnerabilities cannot be reached",), is_reached=False, is_clean=True
            )
        return Verdict((f"{name}: pip-audit failed: {said}",), is_reached=True, is_clean=False)
    vulnerable = tuple(
        f"{name}: {package['name']} {package['version']} has {one['id']}{_fixed(one)}"
        for package in found
        for one in package.get("vulns", ())
    )
    unknown = [package["name"] for package in found if "skip_reason" in package]
    if found and len(unknown) == len(found):
        return Verdict(
            (f"skipped: {name}: the list that is reached here knows none of its packages",),
            is_reached=False,
            is_clean=True,
        )
    not_looked_up = tuple(f"skipped: {name}: {package} is not in the list" for package in unknown)
    if code != 0 and not vulnerable:
        return Verdict(
            (f"{name}: pip-audit ended with {code} and named nothing", *not_looked_up), is_reached=True, is_clean=False
        )
    clean = f"ok: {name}: {len(found) - len(unknown)} packages without a known vulnerability"
    return Verdict((*(vulnerable or (clean,)), *not_looked_up), is_reached=True, is_clean=not vulnerable)


def _fixed(vulnerability: dict[str, Any]) -> str:
    versions = vulnerability.get("fix_versions")
    return f", mended in {versions[0]}" if versions else ", not mended yet"


def ask(pip_audit: str, file: Path) -> Verdict:
    """Ask about one file. The packages are known by name and version; nothing is installed or resolved."""
    command = [pip_audit, "--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command line
            [*command, "--timeout", "10", "--requirement", str(file)],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return judge(file.name, 1, "", f"Could not connect to the list within {SECONDS} s")
    return judge(file.name, done.returncode, done.stdout, done.stderr)


def audit(pip_audit: str, files: Iterable[Path]) -> int:
    """Ask about each file until the list turns out not to be there; give the exit code."""
    is_clean = True
    for file in files:
        verdict = ask(pip_audit, file)
        sys.stdout.write("".join(f"{line}\n" for line in verdict.lines))
        is_clean = is_clean and verdict.is_clean
        if not verdict.is_reached:
            sys.stdout.write("skipped: the other files too\n")
            break
    return 0 if is_clean else 1


if __name__ == "__main__":
    # The smallest first: where there is no list, that is found out soonest.
    raise SystemExit(audit(sys.argv[1], sorted(ROOT.glob("requirements/*.txt"), key=lambda file: file.stat().st_size)))
