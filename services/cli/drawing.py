"""Draws halls and statuses for a terminal, with letters beside the colours so that it reads without them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

from services.cli.hall import Hall, HallSection, Scale, lines_of
from services.cli.show import moment, money

STYLES: Final = {
    "AVAILABLE": "green",
    "HELD": "bold black on yellow",
    "SOLD": "bold white on red",
    "BLOCKED": "white on bright_black",
}
LETTERS: Final = {"HELD": "H", "SOLD": "S", "BLOCKED": "B"}
WORDS: Final = {"AVAILABLE": "free", "HELD": "held", "SOLD": "sold", "BLOCKED": "blocked"}
FREE_LETTERS: Final = "123456789abcdefghijklmnopqrstuvwxyz"
UNKNOWN: Final = "?"
BAR_COLUMNS: Final = 30


def draw(hall: Hall, width: int, height: int | None = None, fresh: Mapping[str, float] | None = None) -> list[Text]:
    """Draw a hall as lines of at most `width` columns and, where a height is given, at most so many lines.

    `fresh`: seats that have just changed; they are shown in reverse.
    """
    head = [_title(hall, width), *_legend(hall, width), Text()]
    sections = hall.sections
    if height is not None and len(head) + len(sections) > height:
        shown = max(1, height - len(head) - 1)
        rest = len(sections) - shown
        lines = [_heading(section, width, names=_names(sections)) for section in sections[:shown]]
        return [*head, *lines, Text(f"… and {rest} more sections (--section ID shows one)", "dim")][:height]
    room = None if height is None else height - len(head) - len(sections)
    pictures = _pictures(hall, width, fresh or {})
    lines = []
    for section, picture in zip(sections, pictures, strict=True):
        fits = room is None or len(picture) <= room
        names = None if fits and picture else _names(sections)
        lines.append(_heading(section, width, names=names))
        if fits:
            lines += picture
            room = None if room is None else room - len(picture)
    return [*head, *lines]


def _pictures(hall: Hall, width: int, fresh: Mapping[str, float]) -> list[list[Text]]:
    """Draw the rows of each section, all at one scale."""
    labels = max((len(row.row_id) for section in hall.sections for row in section.rows), default=0)
    # Seats two columns wide look like seats; where these do not fit, one column has to do.
    for cell in (2, 1):
        # A line may hold two rows and then needs room for two labels.
        columns = max(1, (width - 2 * labels - 4) // cell)
        scale = Scale.of(hall.sections, columns)
        drawn = [lines_of(section, scale, columns) for section in hall.sections]
        widest = max((len(row.seats) for section in hall.sections for row in section.rows), default=0)
        if cell == 1 or (widest <= columns and not _is_squeezed(hall, scale)):
            break
    free = {
        category["category_id"]: FREE_LETTERS[index] if index < len(FREE_LETTERS) else "o"
        for index, category in enumerate(hall.event["price_categories"])
    }
    # One for all sections, so that what is above one another on the plan is so on the screen.
    gutter = max((len(line.label) for lines in drawn for line in lines), default=0)
    pictures = []
    for lines in drawn:
        picture = []
        for line in lines:
            text = Text.assemble((f"{line.label:>{gutter}}  ", "dim"))
            at = 0
            for column, seat in line.seats:
                status = hall.status.get(seat.seat_id, "")
                letter = LETTERS.get(status) or (free.get(seat.category_id, "o") if status else UNKNOWN)
                style = STYLES.get(status, "dim") + (" reverse" if seat.seat_id in fresh else "")
                text.append(" " * ((column - at) * cell), "none")
                text.append(letter, style)
                text.append(" " * (cell - 1), "none")
                at = column + 1
            picture.append(text)
        pictures.append(picture)
    return pictures


def _is_squeezed(hall: Hall, scale: Scale) -> bool:
    """Tell whether the hall is wider than the columns at its natural scale."""
    return bool(scale.unit) and scale.unit > Scale.of(hall.sections, 10**6).unit * 1.05


def _title(hall: Hall, width: int) -> Text:
    event = hall.event
    state = event["state"].removeprefix("EVENT_STATE_").replace("_", " ").lower()
    text = Text.assemble(
        (event["title"], "bold"), f"  {event['venue']}, {moment(event['starts_at'])}  ", (f"({state})", "dim")
    )
    text.truncate(width, overflow="ellipsis")
    return text


def _legend(hall: Hall, width: int) -> list[Text]:
    """List the letters, broken into as many lines as they need."""
    parts = [
        Text.assemble(
            (letter, STYLES["AVAILABLE"]),
            f" {category['title'] or category['category_id']} "
            f"{money(category.get('amount_minor', 0), hall.event['currency_code'])}",
        )
        for letter, category in zip(FREE_LETTERS, hall.event["price_categories"], strict=False)
    ]
    parts += [Text.assemble((letter, STYLES[status]), f" {WORDS[status]}") for status, letter in LETTERS.items()]
    lines = [Text(no_wrap=True)]
    for part in parts:
        if lines[-1].cell_len and lines[-1].cell_len + 2 + part.cell_len > width:
            lines.append(Text(no_wrap=True))
        if lines[-1].cell_len:
            lines[-1].append("  ")
        lines[-1].append_text(part)
    return lines


def _names(sections: Sequence[HallSection]) -> int:
    """Give the columns of the longest name, so that bars stand below one another."""
    return max((_name(section).cell_len for section in sections), default=0)


def _name(section: HallSection) -> Text:
    if not section.title or section.title.endswith(section.section_id):
        return Text(section.title or section.section_id, "bold")
    return Text.assemble((section.title, "bold"), (f" ({section.section_id})", "dim"))


def _heading(section: HallSection, width: int, *, names: int | None) -> Text:
    """Name a section and count its seats; with `names`, columns of the longest one, a bar in place of the rows."""
    text = Text(no_wrap=True)
    text.append_text(_name(section))
    counts = counted(section.counts)
    if names is not None:
        text.append(" " * (names - text.cell_len) + "  ")
        text.append_text(bar(section.counts, max(8, min(BAR_COLUMNS, width - text.cell_len - counts.cell_len - 2))))
    elif section.rows:
        first, last = section.rows[0].seats[0].seat_id, section.rows[-1].seats[-1].seat_id
        text.append(f"  {first} … {last}", "dim")
    text.append("  ")
    text.append_text(counts)
    text.truncate(width, overflow="ellipsis")
    return text


def counted(counts: Counter[str]) -> Text:
    """Write `430 free, 1 held, 1 sold`."""
    words = [Text(f"{counts['AVAILABLE']:,} free", STYLES["AVAILABLE"])]
    words += [Text(f"{counts[status]:,} {WORDS[status]}") for status in LETTERS if counts[status]]
    return Text(", ").join(words)


def bar(counts: Counter[str], columns: int) -> Text:
    """Draw a bar of so many columns; what is there at all has one column at least."""
    total = max(1, counts.total())
    text = Text()
    for status, letter in (("SOLD", "S"), ("HELD", "H"), ("BLOCKED", "B")):
        size = counts[status] and max(1, round(columns * counts[status] / total))
        text.append(letter * min(size, columns - text.cell_len), STYLES[status])
    text.append("·" * (columns - text.cell_len), STYLES["AVAILABLE"])
    return text


def padded(lines: Sequence[Text]) -> Text:
    """Join lines to one text."""
    return Text("\n").join(lines)
