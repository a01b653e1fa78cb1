"""Plots of measurements: lines over time, bars side by side. SVG, on a light background, the same for the same figures.

What is measured is elsewhere; these take numbers and names and write a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Of Okabe and Ito: told apart by everybody. Source: https://jfly.uni-koeln.de/color/
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933")
WIDTH, HEIGHT = 8.0, 4.0
"""Inches; SVG scales."""

_STYLE: Any = {
    # Letters stay letters: a fifth of the size, and they can be searched.
    "svg.fonttype": "none",
    # Without it the names inside the file differ from run to run.
    "svg.hashsalt": "nexus",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "sans-serif"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a line chart's x axis that is shaded and named."""

    begin: float
    end: float
    name: str


def lines(
    path: Path,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str,
    x: str,
    y: str,
    spans: Sequence[Span] = (),
    is_log: bool = False,
) -> None:
    """Draw a line for each series of (x, y). `x`, `y`: what the axes show, with the unit. `is_log`: of y."""
    with rc_context(_STYLE):
        figure, axes = _chart(title)
        for span in spans:
            axes.axvspan(span.begin, span.end, color="#f2e6d9", linewidth=0)
            axes.text(span.begin, 1.0, f" {span.name}", transform=axes.get_xaxis_transform(), va="top", color="#7a5c3a")
        for number, (name, points) in enumerate(series.items()):
            across, up = zip(*points, strict=True) if points else ((), ())
            # Colours come round after eight; then the dashes tell them apart.
            dashes = ("-", "--", ":")[number // len(COLOURS) % 3]
            axes.plot(
                across, up, dashes, label=_text(name), color=COLOURS[number % len(COLOURS)], linewidth=1.6, clip_on=True
            )
        if is_log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        _finish(path, figure, axes, (x, y), is_named=len(series) > 1)


def bars(
    path: Path,
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    title: str,
    x: str,
    y: str,
) -> None:
    """Draw a bar of each series for each group. Each series has one figure per group, in their order."""
    for name, figures in series.items():
        if len(figures) != len(groups):
            raise ValueError(f"{name}: {len(figures)} figures for {len(groups)} groups")
    with rc_context(_STYLE):
        figure, axes = _chart(title)
        width = 0.8 / max(len(series), 1)
        for number, (name, figures) in enumerate(series.items()):
            shift = (number - (len(series) - 1) / 2) * width
            drawn = axes.bar(
                [place + shift for place in range(len(groups))],
                list(figures),
                width * 0.95,
                label=_text(name),
                color=COLOURS[number % len(COLOURS)],
            )
            axes.bar_label(drawn, fmt="%.3g", padding=2, fontsize=8)
        axes.set_xticks(range(len(groups)), [_text(group) for group in groups])
        axes.grid(visible=False, axis="x")
        _finish(path, figure, axes, (x, y), is_named=len(series) > 1)


def _chart(title: str) -> tuple[Figure, Axes]:
    # Not pyplot, which keeps every figure that was ever made and looks for a screen.
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained", facecolor="white")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.set_title(_text(title), loc="left", fontweight="bold")
    return figure, axes


def _finish(path: Path, figure: Figure, axes: Axes, names: tuple[str, str], *, is_named: bool) -> None:
    axes.set_xlabel(_text(names[0]))
    axes.set_ylabel(_text(names[1]))
    if is_named:
        figure.legend(loc="outside right upper", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    # No date and no version: the same figures give the same file.
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _text(name: str) -> str:
    """Keep a name from being read as a formula."""
    return name.replace("$", r"\$")
