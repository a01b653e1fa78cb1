"""Check that requirements/ holds what pyproject.toml pins, each with hashes and none with an address.

Runs as `python .ci/check_requirements.py`; ends with 1 and a line for each thing that is wrong.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")


def pins(lines: Iterable[str]) -> dict[str, str]:
    """Read `name==version` from each line that begins so; names in their normal form. Source: PEP 503."""
    found = (PIN.match(line) for line in lines)
    return {re.sub(r"[-_.]+", "-", match[1]).lower(): match[2] for match in found if match}


def problems(wanted: Iterable[str], locked: str) -> list[str]:
    """Say what is wrong with the text of a requirements file that should hold at least the wanted pins."""
    held = pins(locked.splitlines())
    said = [
        f"{name} is {held.get(name, 'missing')}, pyproject.toml wants {version}"
        for name, version in pins(wanted).items()
        if held.get(name) != version
    ]
    blocks = re.split(r"\n(?=\S)", locked)
    said += [
        f"{block.split()[0]} has no hash" for block in blocks if PIN.match(block) and "--hash=sha256:" not in block
    ]
    said += [
        "it names an address" for line in locked.splitlines() if re.search(r"https?://|--index|--find-links", line)
    ]
    return said


def main() -> int:
    """Look at each file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = project["project"]["dependencies"]
    extras = project["project"]["optional-dependencies"]
    files = {
        "runtime": runtime,
        "test": [*runtime, *extras["dev"], *extras["cluster"]],
        "build": project["build-system"]["requires"],
        **{name: (ROOT / "requirements" / f"{name}.in").read_text().splitlines() for name in ("tools", "audit")},
    }
    said = [
        f"requirements/{name}.txt: {problem}; run `make requirements`"
        for name, wanted in files.items()
        for problem in problems(wanted, (ROOT / "requirements" / f"{name}.txt").read_text())
    ]
    for line in said:
        sys.stderr.write(line + "\n")
    return 1 if said else 0


if __name__ == "__main__":
    raise SystemExit(main())
