"""The `nexus` command as a test runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from services.cli.ports import Ports, variable

SECONDS = 120.0


def moved(ports: Ports) -> dict[str, str]:
    """Give the variables that put a stack on these ports."""
    return {variable(name): str(getattr(ports, name)) for name in ports.__struct_fields__}


def nexus(home: Path, ports: Ports, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a home and ports of its own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("NEXUS_", "RESTATE_"))}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env=own | moved(ports) | {"NEXUS_HOME": str(home)} | environ,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
