"""Event files: every mistake is named with its place and what was expected there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.cli import filetree
from services.cli.errors import FileError
from services.cli.eventfile import read_event, seat_count
from services.gateway.gen.nexus.v1 import event_pb2

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
GOOD = """\
event_id: gala
title: Gala
venue: Town Hall
starts_at: 2030-01-01T20:00:00Z
currency_code: EUR
price_categories:
  - {category_id: std, title: Standard, amount_minor: 4500}
  - {category_id: vip, title: First rows, amount_minor: 9000}
sections:
  - section_id: A
    title: Stalls
    rows:
      - row_id: 1
        seats:
          - {seat_id: A-1-1, category_id: vip, x: -0.5, y: 3}
          - {seat_id: A-1-2, category_id: std}
  - {section_id: B, row_count: 2, seats_per_row: 3, category_id: std}
"""

Read = Callable[..., event_pb2.Event]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a text or a value to a file and read it as an event file."""

    def write_and_read(content: object, name: str = "event.yaml", prices: str | None = None) -> event_pb2.Event:
        file = tmp_path / name
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        if prices is not None:
            (tmp_path / "prices.yaml").write_text(prices)
        return read_event(file, tmp_path / "prices.yaml" if prices is not None else None)

    return write_and_read


def problems(read: Read, *args: Any, **named: Any) -> list[str]:
    with pytest.raises(FileError) as refused:
        read(*args, **named)
    return [str(problem) for problem in refused.value.problems]


def test_a_good_file_is_read_whole(read: Read) -> None:
    """Texts are taken as written, times in any zone, positions only where they are."""
    event = read(GOOD)
    first, second = event.sections[0].rows[0].seats
    assert (event.event_id, event.starts_at.ToJsonString(), seat_count(event)) == ("gala", "2030-01-01T20:00:00Z", 8)
    assert event.sections[0].rows[0].row_id == "1"
    assert (first.x, first.y, second.HasField("x")) == (-0.5, 3.0, False)
    assert event.price_categories[1].amount_minor == 9000


def test_json_and_yaml_say_the_same(read: Read) -> None:
    """The same event in both forms is the same request."""
    category = {"category_id": "std", "amount_minor": "4500"}
    section = {"section_id": "NO", "row_count": 1, "seats_per_row": 2, "category_id": "std"}
    event = {
        "title": "Gala", "venue": "Hall", "starts_at": "2030-01-01T21:00:00+01:00", "currency_code": "EUR",
        "price_categories": [category], "sections": [section],
    }  # fmt: skip
    yaml_text = (
        "title: Gala\nvenue: Hall\nstarts_at: 2030-01-01T20:00:00Z\ncurrency_code: EUR\n"
        "price_categories: [{category_id: std, amount_minor: 4500}]\n"
        "sections: [{section_id: NO, row_count: 1, seats_per_row: 2, category_id: std}]\n"
    )
    assert read(event, "event.json") == read(yaml_text)


@pytest.mark.parametrize(
    ("written", "instead", "expected"),
    [
        ("category_id: std}\n  - {section_id: B", "category_id: sdt}\n  - {section_id: B", [
            ("line 16: sections[0].rows[0].seats[1].category_id: expected one of price_categories (std, vip), "
            "found 'sdt'"),
        ]),
        ("A-1-2", "A-1-1", [
            "line 16: sections[0].rows[0].seats[1].seat_id: expected an id of its own; A-1-1 is there twice",
        ]),
        ("amount_minor: 9000", "amount_minor: -1", [
            "line 8: price_categories[1].amount_minor: expected from 0 to 1000000000000",
        ]),
        ("amount_minor: 9000", "amount_minor: 90.00", [
            "line 8: price_categories[1].amount_minor: expected a whole number, found '90.00'",
        ]),
        ("amount_minor: 9000", "amount: 9000", [
            "line 8: price_categories[1].amount: unknown field; expected amount_minor",
        ]),
        ("category_id: vip, title", "category_id: std, title", [
            "line 8: price_categories[1].category_id: expected an id of its own; std is there twice",
        ]),
        ("starts_at: 2030-01-01T20:00:00Z", "starts_at: tomorrow", [
            "line 4: starts_at: expected a time such as 2030-01-01T20:00:00Z, found 'tomorrow'",
        ]),
        ("starts_at: 2030-01-01T20:00:00Z", "starts_at: 2030-01-01 20:00", [
            "line 4: starts_at: expected a time such as 2030-01-01T20:00:00Z, found '2030-01-01 20:00'",
        ]),
        ("currency_code: EUR", "currency_code: euro", [
            "line 5: currency_code: expected three upper-case letters (ISO 4217)",
        ]),
        ("title: Gala\n", "title: Gala\ntitle: Ball\n", [
            "line 3: expected each key once; 'title' is there since line 2",
        ]),
        ("title: Gala\n", "title: Gala\nowner: me\n", ["line 3: owner: expected nothing: the server sets it"]),
        ("title: Gala\n", "title: Gala\nstate: ON_SALE\n", ["line 3: state: expected nothing: the server sets it"]),
        ("title: Gala\n", "title: [Gala]\n", ["line 2: title: expected a text, found a list"]),
        ("venue: Town Hall\n", "", ["line 1: venue: expected a value; it is missing"]),
        ("event_id: gala", "event_id: gala night", [
            "line 1: event_id: expected something that matches ^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
        ]),
        ("x: -0.5", "x: left", ["line 15: sections[0].rows[0].seats[0].x: expected a number, found 'left'"]),
        ("x: -0.5", "x: .nan", ["line 15: sections[0].rows[0].seats[0].x: expected from -1000000 to 1000000"]),
        ("    rows:\n      - row_id: 1\n        seats:\n", "    seats:\n", [
            "line 12: sections[0].seats: expected seats inside rows, not here",
        ]),
        ("row_id: 1", "row: 1", ["line 13: sections[0].rows[0].row: unknown field; expected row_id"]),
        ("row_count: 2, ", "", [
            "line 17: sections[1]: expected at least one seat",
        ]),
        (
            "title: Gala\n",
            "title: Gala\nsale_ends_at: 2029-01-01T00:00:00Z\nsale_starts_at: 2029-01-01T01:00:00+01:00\n",
            ["line 3: sale_ends_at: expected a time later than sale_starts_at"],
        ),
        ("title: Gala\n", "title: Gala\nhold_seconds: 0\n", ["line 3: hold_seconds: expected from 1 to 86400"]),
        ("row_count: 2, seats_per_row: 3", "row_count: 66667, seats_per_row: 3", [
            "line 9: sections: expected at most 100,000 seats; there are 200,003",
        ]),
        ("section_id: B", "section_id: A", [
            "line 17: sections[1].section_id: expected an id of its own; A is there twice",
        ]),
        ("    title: Stalls", "    title: !!python/name:os.system", [
            "line 11: expected a plain value, found the tag tag:yaml.org,2002:python/name:os.system",
        ]),
        ("title: Gala", "title: 'Gala", None),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(read: Read, written: str, instead: str, expected: list[str] | None) -> None:
    """The line, the path, and what was expected there; nothing else."""
    assert GOOD.count(written) == 1
    found = problems(read, GOOD.replace(written, instead))
    if expected is None:
        assert len(found) == 1
        assert found[0].startswith("line ")
        assert "expected YAML" in found[0]
    else:
        assert [text for text in found if text in expected] == expected, found
        # Two seats of one id are also one seat twice for what counts them; more is not said.
        assert len(found) <= len(expected) + 1


def test_several_mistakes_are_named_at_once(read: Read) -> None:
    """A person need not try again for each; of a thousand the first twenty are enough."""
    text = GOOD.replace("category_id: std}", "category_id: std, price: 1}").replace("title: Gala", "titel: Gala")
    assert problems(read, text) == [
        "line 2: titel: unknown field; expected title",
        "line 16: sections[0].rows[0].seats[1].price: unknown field; expected one of seat_id, category_id, x, y",
        (
            "line 17: sections[1].price: unknown field; expected one of section_id, title, rows, row_count, "
            "seats_per_row, category_id"
        ),
    ]
    seats = "".join(f"          - {{seat_id: A-2-{n}, colour: red}}\n" for n in range(1000))
    assert len(problems(read, GOOD.partition("  - {section_id: B")[0] + seats)) == 20


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n", "", "42", "null"])
def test_a_file_that_is_no_map_is_refused(read: Read, text: str) -> None:
    """YAML can be anything; an event is a map."""
    (found,) = problems(read, text)
    assert "expected a map of an event's fields, found" in found


def test_json_mistakes_have_a_path_or_a_line(read: Read) -> None:
    """JSON tells no lines but of what is no JSON."""
    assert problems(read, '{"title": "Gala",\n "venue": }', "event.json") == ["line 2: expected JSON: Expecting value"]
    twin = '{"sections": [{"rows": [{"row_id": "1", "row_id": "2"}]}]}'
    assert problems(read, twin, "event.json") == [
        "sections[0].rows[0]: expected each key once; 'row_id' is there twice"
    ]
    assert problems(read, {"title": {"de": "Gala"}}, "event.json") == ["title: expected a text, found a map"]


def test_a_small_file_cannot_become_a_large_one(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aliases of YAML double with every line; a tree that holds itself has no end."""
    # To count to the real one takes seconds.
    monkeypatch.setattr(filetree, "MAX_VALUES", 10_000)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    assert "expected at most 30 levels and 10,000 values" in problems(read, "\n".join(lines))[0]
    assert "expected at most 30 levels" in problems(read, "a: &a [*a]")[0]


def test_the_theatre_is_what_its_generator_prints() -> None:
    """examples/theatre.yaml: 1,000 seats, four sections, three categories, every seat with its place."""
    printed = subprocess.run([sys.executable, EXAMPLES / "make_theatre.py"], capture_output=True, text=True, check=True)
    assert printed.stdout == (EXAMPLES / "theatre.yaml").read_text()
    event = read_event(EXAMPLES / "theatre.yaml")
    seats = [seat for section in event.sections for row in section.rows for seat in row.seats]
    assert (len(seats), len(event.sections), len(event.price_categories)) == (1000, 4, 3)
    assert all(seat.HasField("x") and seat.HasField("y") for seat in seats)
    assert len({(seat.x, seat.y) for seat in seats}) == 1000
    assert {"A-1-1", "A-1-2"} <= {seat.seat_id for seat in seats}


@pytest.mark.parametrize(("args", "seats"), [((), 50_000), (("--tiers", "1", "--sections", "3", "--rows", "4"), 240)])
def test_the_stadium_is_an_event_file(tmp_path: Path, args: tuple[str, ...], seats: int) -> None:
    """examples/stadium.py prints an event of 50,000 seats, or of the size asked for, that the gateway would take."""
    printed = subprocess.run([sys.executable, EXAMPLES / "stadium.py", *args], capture_output=True, check=True)
    file = tmp_path / "stadium.json"
    file.write_bytes(printed.stdout)
    event = read_event(file)
    assert seat_count(event) == seats
    assert event_pb2.CreateEventRequest(event=event).ByteSize() < 8 * 1024 * 1024


def test_a_stadium_too_large_is_refused() -> None:
    """An event has at most 100,000 seats."""
    argv = [sys.executable, EXAMPLES / "stadium.py", "--rows", "100"]
    printed = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (printed.returncode, printed.stdout) == (2, "")
    assert "200000 seats; an event has 1 to 100000" in printed.stderr
