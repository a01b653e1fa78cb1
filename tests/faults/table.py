"""What is told of fault runs: a line each, a table of one row for each fault and all its seeds, and JSON."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.faults.faults import Damage, Fault

RESTATE = "1.7.12"
TOLD = ("won", "lost", "expired", "confirmed", "declined", "cancelled")
BEGIN, END = "<!-- fault runs: begin -->", "<!-- fault runs: end -->"
MOST_LINES, MOST_IN_A_CELL = 30, 3
HEAD = (
    "| fault | how | seeds | UTC | s | broken | operations | unknown | ok/s | share | sold | quiet after | held |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
)


@dataclass
class Run:
    """What came of one fault under one seed. Times in seconds; `rate`: answers 200 a second while the fault worked.

    `share`: of the fault-free rate of the same seed and kind of stack. `skipped`: why it was not run.
    """

    fault: Fault
    seed: int
    seconds: float = 0.0
    settled: float = 0.0
    damage: Damage = field(default_factory=Damage)
    counts: Counter[str] = field(default_factory=Counter)
    operations: int = 0
    rate: float = 0.0
    share: float = 0.0
    wrong: list[str] = field(default_factory=list)
    skipped: str = ""
    ended: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def unknown(self) -> int:
        """Count the calls whose outcome their client could not know."""
        return sum(count for name, count in self.counts.items() if name.endswith("unknown"))

    def __str__(self) -> str:
        """Give the run on one line, and what is noted of it."""
        if self.skipped:
            return f"{self.fault.name}: skipped: {self.skipped}"
        told = ", ".join(f"{name} {self.counts[name]}" for name in TOLD)
        of = f" of {self.damage.points} points" if self.damage.points else ""
        line = (
            f"{self.fault.name}: seed {self.seed}, {self.seconds:.0f} s, broken {self.damage.count}{of} times, "
            f"{self.operations} operations ({self.unknown} unknown), {self.rate:.1f} ok/s ({self.share:.0%}), {told}; "
            f"quiet after {self.settled:.1f} s; {'held' if not self.wrong else 'BROKEN'}"
        )
        return "\n  ".join([line, *self.damage.notes, *few(self.wrong, MOST_LINES)])

    def figures(self) -> dict[str, Any]:
        """Give everything that is known of the run."""
        return {
            "fault": self.fault.name,
            "seed": self.seed,
            "ended": self.ended.isoformat(timespec="seconds"),
            "skipped": self.skipped,
            "seconds": round(self.seconds, 1),
            "broken": self.damage.count,
            "points": self.damage.points,
            "died": self.damage.died,
            "missed": self.damage.missed,
            "notes": self.damage.notes,
            "operations": self.operations,
            "unknown": self.unknown,
            "ok_per_second": round(self.rate, 2),
            "share_of_fault_free": round(self.share, 3),
            "least_share": self.fault.least,
            "counts": dict(self.counts),
            "quiet_after_seconds": round(self.settled, 2),
            "wrong": self.wrong,
        }


def few(lines: Sequence[str], most: int) -> list[str]:
    """Give the first of some lines, and how many more there are."""
    return [*lines[:most], *([f"and {len(lines) - most} more"] if len(lines) > most else [])]


def versions() -> str:
    """Name what the figures are of."""
    return f"Restate {RESTATE}, restate-sdk {version('restate-sdk')}, Python {platform.python_version()}"


def span(values: Iterable[float], digits: int = 0) -> str:
    """Give the least and the greatest of some figures, or the one that they all are."""
    told = [f"{value:.{digits}f}" for value in sorted(values)]
    return told[0] if told[0] == told[-1] else f"{told[0]}-{told[-1]}"


def rows(runs: Sequence[Run]) -> dict[str, str]:
    """Give a row of the table for each fault, with the figures of all its seeds."""
    by_name = defaultdict(list)
    for run in runs:
        by_name[run.fault.name].append(run)
    return {name: _row(name, own) for name, own in by_name.items()}


def _row(name: str, runs: Sequence[Run]) -> str:
    fault = runs[0].fault
    seeds = ", ".join(str(run.seed) for run in runs)
    when = f"{max(run.ended for run in runs):%m-%d %H:%M}"
    if why := runs[-1].skipped:
        return f"| {name} | {fault.how} | {seeds} | {when} | {'| ' * 8}skipped: {why} |"
    of = f" of {span(run.damage.points for run in runs)} points" if runs[0].damage.points else ""
    wrong = [wrong for run in runs for wrong in run.wrong]
    cells = (
        span(run.seconds for run in runs),
        span(run.damage.count for run in runs) + of,
        span(run.operations for run in runs),
        span(run.unknown for run in runs),
        span((run.rate for run in runs), 1),
        span(100 * run.share for run in runs) + " %",
        span(run.counts["confirmed"] for run in runs),
        span((run.settled for run in runs), 1) + " s",
        # A bar would end the cell.
        "; ".join(few(wrong, MOST_IN_A_CELL)).replace("|", "/") or "yes",
    )
    return f"| {name} | {fault.how} | {seeds} | {when} | {' | '.join(cells)} |"


def write_table(path: Path, runs: Sequence[Run], order: Sequence[Fault], buyers: int) -> None:
    """Put the runs in place of the rows of the same faults, between the marks of a file; other rows stay."""
    before, _, rest = path.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    known = {line.split("|")[1].strip(): line for line in old.splitlines() if line.startswith("| ")}
    # Rows of another form would stand under the wrong heads.
    known = {name: line for name, line in known.items() if line.count("|") == HEAD[0].count("|")} | rows(runs)
    about = f"{versions()}, {os.cpu_count()} cores, {buyers} buyers. Each row is of the last run of its fault."
    table = [known[fault.name] for fault in order if fault.name in known]
    path.write_text("\n".join([before + BEGIN, about, "", *HEAD, *table, END + after]))


def write_json(path: Path, runs: Sequence[Run], buyers: int) -> None:
    """Write down every figure of every run."""
    about = {"versions": versions(), "cores": os.cpu_count(), "buyers": buyers}
    path.write_text(json.dumps({**about, "runs": [run.figures() for run in runs]}, indent=2) + "\n")
