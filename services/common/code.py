"""Which code a process runs: a hash that changes exactly when an endpoint's behaviour can change."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Final

HEADER: Final = "x-nexus-code"
"""Header of an endpoint's `/health` answer: the hash of the code that the process was started with."""

SERVICES: Final = Path(__file__).resolve().parent.parent
_HASH_DIGITS: Final = 12


def code_hash(folder: Path) -> str:
    """Hash an endpoint's folder, what it shares with others, and the SDK's version.

    The same files give the same hash on every machine; file times and caches do not count.
    """
    common = SERVICES / "common"
    files = {*folder.rglob("*"), *common.rglob("*.py"), *SERVICES.glob("*/messages.py")}
    digest = hashlib.sha256(f"restate-sdk {version('restate-sdk')}".encode())
    for path in sorted(files, key=_name):
        if not path.is_file() or "__pycache__" in path.parts or path.suffix == ".pyc":
            continue
        content = path.read_bytes()
        digest.update(f"\0{_name(path)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:_HASH_DIGITS]


def _name(path: Path) -> str:
    """Name a file without the place that the project is installed at."""
    return path.relative_to(SERVICES).as_posix() if path.is_relative_to(SERVICES) else path.name
