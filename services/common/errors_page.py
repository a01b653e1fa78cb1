"""Renders docs/errors.md from the one table of errors: `python -m services.common.errors_page [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from services.common.errors import all_errors

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "errors.md"

_HEAD: Final = """\
# Errors

Rendered from `services/common/errors.py` by `make docs`; edit the table there.

Branch on the reason, never on the text. Over gRPC it is in `google.rpc.ErrorInfo` (domain `nexus.v1`)
in the status details; over HTTP in `error.details[].reason`. "Repeat" tells whether the same request
may succeed later without any change; such an answer carries `google.rpc.RetryInfo` and `Retry-After`.

| reason | HTTP | gRPC | repeat | meaning |
|---|---|---|---|---|
"""


def render() -> str:
    """Write the page: one row per reason, sorted by HTTP status and reason."""
    rows = sorted(all_errors(), key=lambda error: (error.http_status, error.reason))
    return _HEAD + "".join(
        f"| `{error.reason}` | {error.http_status} | `{error.grpc_code}` | {'yes' if error.is_retryable else 'no'} "
        f"| {_meaning(error)} |\n"
        for error in rows
    )


def main(arguments: list[str]) -> int:
    """Write the page, or with --check tell whether it is up to date; give the exit code."""
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text() == render():
            return 0
        sys.stderr.write(f"{PAGE.name} is not up to date: run `make docs`\n")
        return 1
    PAGE.write_text(render())
    return 0


def _meaning(error: type) -> str:
    """Take the first paragraph of the class's docstring; the rest is for programmers."""
    text = (error.__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
