"""Plots are SVG files that say what they show."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

# In the extra `bench`, which the image of the tests has not.
plots = pytest.importorskip("bench.plots", exc_type=ImportError)


def texts(path: Path) -> str:
    return " ".join(text.strip() for text in ET.parse(path).getroot().itertext() if text.strip())


def test_a_line_chart_names_its_title_axes_series_and_spans(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lines.svg"
    series = {"gateway": [(0.0, 1.0), (1.0, 2.0)], "costs $5 or $6": [(0.0, 3.0)], "nothing": []}
    plots.lines(path, series, title="Memory", x="seconds", y="MB", spans=[plots.Span(0.2, 0.8, "spike")])
    shown = texts(path)
    for name in ("Memory", "seconds", "MB", "gateway", "costs $5 or $6", "nothing", "spike"):
        assert name in shown


def test_a_bar_chart_names_its_groups_and_figures(tmp_path: Path) -> None:
    path = tmp_path / "bars.svg"
    plots.bars(path, ["hold", "buy"], {"before": [12.5, 3], "after": [14, 4]}, title="Rates", x="call", y="per second")
    shown = texts(path)
    for name in ("Rates", "hold", "buy", "before", "after", "12.5", "14"):
        assert name in shown


def test_a_bar_chart_refuses_a_series_of_another_length(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="before: 1 figures for 2 groups"):
        plots.bars(tmp_path / "bars.svg", ["a", "b"], {"before": [1]}, title="", x="", y="")


def test_the_same_figures_give_the_same_file(tmp_path: Path) -> None:
    series = {"a": [(0.0, 1.0), (1.0, 2.0)], "b": [(0.0, 2.0), (1.0, 1.0)]}
    for name in ("one.svg", "two.svg"):
        plots.lines(tmp_path / name, series, title="T", x="s", y="MB", is_log=True)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
