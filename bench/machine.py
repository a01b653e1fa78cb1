"""What the machine is, and what processes on it use. Source of /proc's fields: proc(5)."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_GROUP, _USER_TICKS, _SYSTEM_TICKS = 2, 11, 12
"""Places in /proc/<pid>/stat after the command's closing bracket."""

MB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process group: resident memory now, and CPU seconds since its processes began."""

    memory_mb: float = 0.0
    cpu_seconds: float = 0.0


def usage(groups: Mapping[str, int]) -> dict[str, Usage]:
    """Read what each process group uses. `groups`: name to the id of the group."""
    names = {group: name for name, group in groups.items()}
    memory, seconds = dict.fromkeys(groups, 0.0), dict.fromkeys(groups, 0.0)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            pages = int((entry / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue  # the process has ended meanwhile
        name = names.get(int(fields[_GROUP]))
        if name is not None:
            memory[name] += pages * os.sysconf("SC_PAGE_SIZE") / MB
            seconds[name] += (int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) / os.sysconf("SC_CLK_TCK")
    return {name: Usage(memory[name], seconds[name]) for name in groups}


def describe() -> dict[str, str]:
    """Tell what a reader needs to compare figures: processor, cores, memory, kernel, Python, load at this moment."""
    return {
        "processor": _line("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }


def _line(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
