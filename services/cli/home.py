"""Where the local stack lives."""

from __future__ import annotations

import os
from pathlib import Path

from services.common.code import SERVICES


def default_home() -> Path:
    """Name the home where NEXUS_HOME is not set: `.nexus` of the checkout, or of the current folder."""
    project = SERVICES.parent
    return (project if (project / "pyproject.toml").exists() else Path.cwd()) / ".nexus"


def home() -> Path:
    """Name the home: NEXUS_HOME, or the default."""
    return Path(os.environ.get("NEXUS_HOME") or default_home())
