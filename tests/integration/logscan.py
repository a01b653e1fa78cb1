"""What no log of any process may hold, whichever test ran: tokens, mail addresses, card tokens, keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

SECRETS: Final = {
    "bearer token": re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?i:bearer)\s+(?!\[hidden\])[\w.~+/=-]{8,}"),
    "mail address": re.compile(r"[\w.!#$%&'*+=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b"),
    "card token": re.compile(r"\bcard_\w+"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}
SHOWN: Final = 12
"""Characters of a find that are told: enough to look for it, too few to use it."""


class Leak(NamedTuple):
    """A secret in a log; `begin` is how it begins."""

    log: str
    line: int
    kind: str
    begin: str


def leaks(log: str, text: str) -> Iterator[Leak]:
    """Find what must not be there."""
    for number, line in enumerate(text.splitlines(), 1):
        for kind, form in SECRETS.items():
            for found in form.finditer(line):
                yield Leak(log, number, kind, found[0][:SHOWN])


def leaks_under(folder: Path) -> list[Leak]:
    """Look through every log under a folder."""
    return [
        leak
        for path in sorted(folder.rglob("*.log"))
        if path.is_file()
        for leak in leaks(str(path.relative_to(folder)), path.read_text(errors="replace"))
    ]
