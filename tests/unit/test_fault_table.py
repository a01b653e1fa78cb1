"""What is told of fault runs: the table keeps the last row of each fault, with the figures of all seeds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.faults import NONE, Damage, Fault, nothing
from tests.faults.run import MANY_SECONDS, judged_rate
from tests.faults.table import BEGIN, END, HEAD, Run, few, rows, span, write_json, write_table

KILL = Fault("kill it", "SIGKILL", nothing)
DARK = Fault("dark", "lights out", nothing)


def run(fault: Fault = KILL, seed: int = 1, rate: float = 10, **more: object) -> Run:
    return Run(fault, seed, seconds=20, rate=rate, share=rate / 20, damage=Damage(count=seed), **more)


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_row_has_the_least_and_the_greatest_of_its_seeds() -> None:
    """Three seeds are one row: equal figures once, others as a span."""
    row = cells(rows([run(), run(seed=3, rate=14), run(seed=2, rate=12)])[KILL.name])
    assert row[2] == "1, 3, 2"
    assert row[4:6] == ["20", "1-3"]
    assert row[8:10] == ["10.0-14.0", "50-70 %"]
    assert row[-1] == "yes"


def test_a_row_tells_what_is_wrong_and_what_was_skipped() -> None:
    """A broken seed makes the row say so, briefly; a fault that this machine cannot do names the reason."""
    broken = rows([run(), run(seed=2, wrong=["I1: a | b", "I2: c", "I3: d", "I4: e"])])[KILL.name]
    assert cells(broken)[-1] == "I1: a / b; I2: c; I3: d; and 1 more"
    skipped = rows([Run(KILL, 1, skipped="no root")])[KILL.name]
    assert cells(skipped)[-1] == "skipped: no root"
    assert skipped.count("|") == broken.count("|") == HEAD[0].count("|")


def test_a_table_keeps_the_rows_of_other_faults(tmp_path: Path) -> None:
    """A run of one fault replaces its row and no other; rows of another form and of faults that are gone leave."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\n| kill it | old form |\n{END}\nafter\n")
    write_table(page, [run(NONE), run(DARK)], (NONE, KILL, DARK), 12)
    write_table(page, [run()], (NONE, KILL, DARK), 12)
    text = page.read_text()
    assert [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")][1:] == [
        "none", "kill it", "dark",
    ]  # fmt: skip
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    write_table(page, [run()], (KILL,), 12)
    assert "| dark |" not in page.read_text()


def test_json_has_every_figure(tmp_path: Path) -> None:
    """What the table leaves out can be read by a program."""
    file = tmp_path / "runs.json"
    write_json(file, [run(wrong=["I1: x"])], 12)
    (read,) = json.loads(file.read_text())["runs"]
    assert (read["fault"], read["seed"], read["share_of_fault_free"], read["wrong"]) == ("kill it", 1, 0.5, ["I1: x"])


def test_figures_are_told_once_where_they_are_equal() -> None:
    """A span of one figure is that figure, also where only the rounding makes them equal."""
    assert span([2, 2]) == "2"
    assert span([1.04, 1.01], 1) == "1.0"
    assert span([9, 11]) == "9-11"


def test_many_lines_are_cut_short() -> None:
    """A defect that shows in every seat is told a few times."""
    assert few(["a", "b"], 2) == ["a", "b"]
    assert few(["a", "b", "c"], 1) == ["a", "and 2 more"]


@pytest.mark.parametrize(("rate", "least", "wrong"), [(10, 0.5, 0), (9.9, 0.5, 1), (0, 0, 0)])
def test_a_fault_must_leave_its_share_of_the_rate(rate: float, least: float, wrong: int) -> None:
    """I9: below its `least` of the fault-free rate a run is broken."""
    assert len(judged_rate(rate, 20, least)) == wrong


def test_a_run_of_every_fault_is_long_enough_for_every_outcome() -> None:
    """A fault that worked for less would be let off some outcomes."""
    assert NONE.seconds >= MANY_SECONDS
