"""An endpoint whose handlers raise where they are told: `python -m tests.faults.raising ticket`.

A handler called for a key raises, before it does anything, as long as the folder that NEXUS_RAISE_FOLDER names holds
a file for it. All else is as in tests/faults/crashing.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import restate

from services.common import handlers
from tests.faults import crashing

FOLDER = "NEXUS_RAISE_FOLDER"
TEXT = "planted by tests/faults/raising.py"


class PlantedError(Exception):
    """What a spoilt handler raises; no refusal, so Restate tries again and again."""


def place_of(folder: Path, handler: str, key: str) -> Path:
    """Name the file that lets a handler (`Ticket.release`) raise for a key."""
    return folder / crashing.file_of(f"{handler} {key}")


def install(folder: Path) -> None:
    """Wrap every handler that is defined from now on."""
    register = handlers._register

    def spoilt(definition: Any, target: Any, handle: Any, fn: Any, **more: Any) -> None:
        name = f"{target.service}.{target.handler}"
        has_key = isinstance(definition, restate.VirtualObject)

        async def handler(ctx: Any, request: Any) -> Any:
            if has_key and place_of(folder, name, ctx.key()).exists():
                raise PlantedError(TEXT)
            return await handle(ctx, request)

        register(definition, target, handler, fn, **more)

    handlers._register = spoilt


if __name__ == "__main__":
    install(Path(os.environ[FOLDER]))
    crashing.main(sys.argv[1])
