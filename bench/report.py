"""The page of figures: targets beside what was measured, a table a family, plots, the machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from bench.figures import Measured
from bench.scenarios.sales import FAMILY as SALES
from bench.targets import LABELS, Target, judge

BEGIN: Final = "<!-- measured: begin -->"
END: Final = "<!-- measured: end -->"
BUSY: Final = 0.6
NEEDED: Final = ("restate", "ticket", "seatmap", "checkout", "gateway")
LEAST_CPU_MS: Final = 0.005
FAMILIES: Final[Mapping[str, str]] = {
    "rest": "At rest",
    "sales": "Sales",
    "hot": "Crowds",
    "holds": "Holds that come to nothing",
    "map": "The seat map",
    "watchers": "Watchers",
    "events": "Large events",
    "scale": "Scale",
}

OPENING: Final = f"""# Performance

`make bench` writes what is between the marks: it starts servers of its own on free ports, makes load from processes of
its own on the same machine, audits what was sold, and stops everything again. `make bench SCENARIO=sale` measures one
thing and writes nothing.

{BEGIN}
{END}
"""

EXPLAINED: Final = """\
Everything, the load generator included, runs on these cores. *No-ops a second* is the yardstick, measured before and
after each scenario in the same run: a handler without effect, straight on the ingress, as many at once. *Efficiency* is
sales a second times invocations a sale over no-ops a second: the share of the machine's invocations that the sales are.
Invocations are counted by the endpoints, readings of the gateway for itself left out; timers in Restate's tables. CPU
is user and system time of each process group, what follows a sale (map, mail) included."""


@dataclass
class Run:
    """A whole run."""

    seed: int
    seconds: float
    machine: Mapping[str, str]
    versions: dict[str, str]
    begun: datetime
    took_seconds: float = 0.0
    measured: list[Measured] = field(default_factory=list)


def page(run: Run) -> str:
    """Write what stands between the marks. Pure."""
    parts = [_head(run), "## Targets", targets(run.measured)]
    for family, title in FAMILIES.items():
        of_family = [one for one in run.measured if one.family == family]
        if of_family:
            parts += [f"## {title}", table(of_family)]
            parts += [f"![{title}](images/{name})" for name in plot_names(family, of_family)]
            parts += _cost(of_family)
            parts += _said(of_family)
    parts += _larger(run.measured)
    return "\n\n".join(parts)


def targets(measured: Sequence[Measured]) -> str:
    """Put each target beside what was measured. Pure."""
    rows = [
        [one.title, _figure(one.target), one.target.wanted, number(one.value), "yes" if one.is_met else "**no**"]
        for one in judge(measured)
    ]
    return _table(["what", "figure", "target", "measured", "met"], rows)


def _figure(target: Target) -> str:
    return LABELS[target.figure] + (f" ({target.text})" if target.text else "")


def table(measured: Sequence[Measured]) -> str:
    """Show the figures of one family, a row a scenario. Pure."""
    names = [name for name in LABELS if any(name in one.figures for one in measured)]
    rows = [[one.title, *(number(one.figures.get(name)) for name in names)] for one in measured]
    return _table(["", *(LABELS[name] for name in names)], rows)


def number(value: float | None) -> str:
    """Write a figure with three digits that say something. Pure."""
    if value is None:
        return ""
    if math.isnan(value):
        return "?"
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2  # noqa: PLR2004 - three digits
    return f"{value:,.{decimals}f}"


def plot_names(family: str, measured: Sequence[Measured]) -> list[str]:
    """Name the files of a family's plots. Pure."""
    names = [f"bench-{family}-throughput.svg"] if any(one.per_second for one in measured) else []
    if any("p50_ms" in one.figures for one in measured):
        names.append(f"bench-{family}-latency.svg")
    if family == SALES and any(one.cpu_ms for one in measured):
        names.append(f"bench-{family}-cost.svg")
    return names


def draw(run: Run, folder: Path) -> None:
    """Draw the plots that the page shows."""
    # Only who draws needs matplotlib.
    from bench import plots

    for family, title in FAMILIES.items():
        of_family = [one for one in run.measured if one.family == family]
        names = plot_names(family, of_family)
        if f"bench-{family}-throughput.svg" in names:
            series = {
                one.scenario: [(float(at), float(count)) for at, count in enumerate(one.per_second)]
                for one in of_family
                if one.per_second
            }
            path = folder / f"bench-{family}-throughput.svg"
            plots.lines(path, series, title=f"{title}: done in each second", x="second of the run", y="a second")
        if f"bench-{family}-latency.svg" in names:
            timed = [one for one in of_family if "p50_ms" in one.figures]
            shares = {f"p{share}": [one.figures[f"p{share}_ms"] for one in timed] for share in (50, 90, 99)}
            path = folder / f"bench-{family}-latency.svg"
            plots.bars(path, _groups(timed), shares, title=f"{title}: how long it took", x="", y="ms")
        if f"bench-{family}-cost.svg" in names:
            costed = [one for one in of_family if one.cpu_ms]
            spent = {name: [one.cpu_ms.get(name, 0.0) for one in costed] for name in _processes(costed)}
            path = folder / f"bench-{family}-cost.svg"
            plots.bars(path, _groups(costed), spent, title=f"{title}: CPU of each, by process", x="", y="ms")


def put(text: str, new: str) -> str:
    """Replace what stands between the marks. Pure. Raises ValueError where they are not there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} and {END} to write between")
    return f"{before}{BEGIN}\n\n{new}\n\n{END}{after}"


def write(run: Run, path: Path) -> None:
    """Write page and plots. What stands outside of the marks stays."""
    text = path.read_text() if path.exists() else OPENING
    draw(run, path.parent / "images")
    path.write_text(put(text, page(run)))


def _head(run: Run) -> str:
    told = {
        "measured": f"{run.begun:%Y-%m-%d %H:%M} UTC, {run.took_seconds / 60:.0f} min, "
        f"{run.seconds:g} s a scenario, seed {run.seed}"
    }
    told |= {**run.machine, **run.versions}
    return _table(["", ""], [[name, value] for name, value in told.items()]) + f"\n\n{EXPLAINED}"


def _cost(measured: Sequence[Measured]) -> list[str]:
    costed = [one for one in measured if one.cpu_ms]
    if not costed:
        return []
    names = _processes(costed)
    rows = [
        [one.title, *(number(one.cpu_ms.get(name)) for name in names), number(sum(one.cpu_ms.values()))]
        for one in costed
    ]
    return ["CPU milliseconds of each, by process:", _table(["", *names, "all"], rows)]


def _larger(measured: Sequence[Measured]) -> list[str]:
    """Work out on paper what ten and a hundred times of a real sale's rate would need."""
    real = next((one for one in measured if one.scenario == "sale-simulator" and one.cpu_ms), None)
    if real is None:
        return []
    rate = real.figures["rate"]
    per_core = {name: spent for name, spent in real.cpu_ms.items() if name in NEEDED}
    rows = [
        [f"{times}x, {number(rate * times)} a second", *(number(cores(ms, rate * times)) for ms in per_core.values())]
        for times in (1, 10, 100)
    ]
    told = (
        f"On paper, from the CPU that a sale with simulator and mail costs ({real.title}), no core busier than "
        f"{BUSY:.0%}; cores by process. Not measured: what several machines cost one another."
    )
    return ["## Ten and a hundred times", told, _table(["", *per_core], rows)]


def cores(cpu_ms: float, per_second: float) -> float:
    """Tell how many cores something needs that costs so much CPU so often, none busier than BUSY. Pure."""
    return cpu_ms / 1000 * per_second / BUSY


def _said(measured: Sequence[Measured]) -> list[str]:
    said = [f"- {one.title}: {note}" for one in measured for note in one.notes]
    said += [f"- **{one.title}: {wrong}**" for one in measured for wrong in one.wrong]
    handlers = next((one for one in measured if one.handlers), None)
    if handlers is not None:
        listed = ", ".join(
            f"{name} {number(count)}" for name, count in sorted(handlers.handlers.items()) if count >= LEAST_CPU_MS
        )
        said.append(f"- {handlers.title}, its invocations: {listed}")
    return ["\n".join(said)] if said else []


def _processes(measured: Sequence[Measured]) -> list[str]:
    names = dict.fromkeys(name for one in measured for name in one.cpu_ms)
    return [name for name in names if any(one.cpu_ms.get(name, 0.0) >= LEAST_CPU_MS for one in measured)]


def _groups(measured: Sequence[Measured]) -> list[str]:
    return [one.scenario.replace("-", "\n") for one in measured]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
