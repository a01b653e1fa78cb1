"""How the commands write money, times and tables, for people on stdout and as JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

# Rich is loaded where something is drawn: `nexus token` and others need none of it.
if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

# Minor units that are no hundredths. Source: ISO 4217, list one.
_NO_MINOR: Final = frozenset(
    (
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    )
)
_THOUSANDTHS: Final = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))
PIPE_COLUMNS: Final = 200
MINUTE: Final = 60


def money(amount_minor: int | str, currency_code: str) -> str:
    """Write an amount as `45.00 EUR`, with the decimals of its currency."""
    amount = int(amount_minor)
    digits = 0 if currency_code in _NO_MINOR else 3 if currency_code in _THOUSANDTHS else 2
    whole, part = divmod(abs(amount), 10**digits)
    decimals = f".{part:0{digits}}" if digits else ""
    return f"{'-' if amount < 0 else ''}{whole:,}{decimals} {currency_code}"


def moment(text: str) -> str:
    """Write a time of the contract in the local zone, without seconds: `2030-01-01 20:00`."""
    return _local(text).strftime("%Y-%m-%d %H:%M") if text else ""


def clock(text: str) -> str:
    """Write a time of the contract as a local time of the day."""
    return _local(text).strftime("%H:%M:%S") if text else ""


def remaining(text: str) -> str:
    """Tell how long it is until a time of the contract: `14:59`."""
    seconds = max(0, round((_local(text) - datetime.now(UTC)).total_seconds()))
    return f"{seconds // MINUTE}:{seconds % MINUTE:02}"


def _local(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone()


def word(value: str, prefix: str) -> str:
    """Write an enum value without its prefix: `ON_SALE`."""
    return value.removeprefix(prefix)


def styled(value: str, prefix: str, styles: Mapping[str, str], other: str = "none") -> Text:
    """Write an enum value without its prefix, in its colour."""
    from rich.text import Text

    short = word(value, prefix)
    return Text(short, styles.get(short, other))


def print_json(value: object) -> None:
    """Print JSON, and nothing else, on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)


def print_json_line(value: object) -> None:
    """Print JSON of one line: an element of a stream."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def console() -> Console:
    """Give the console of stdout; a pipe is wide enough for every column."""
    from rich.console import Console

    return Console(highlight=False) if sys.stdout.isatty() else Console(width=PIPE_COLUMNS, highlight=False)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print a table; columns whose name ends with `>` are aligned to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name.removesuffix(">"), justify="right" if name.endswith(">") else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def seats_of(seats: Sequence[Mapping[str, Any]], most: int = 6) -> str:
    """List seats, the first few where there are many."""
    ids = [seat["seat_id"] for seat in seats]
    return ", ".join(ids) if len(ids) <= most else f"{', '.join(ids[:most])} and {len(ids) - most} more"


@contextmanager
def working(*, is_quiet: bool) -> Iterator[Progress]:
    """Show on stderr what takes long; nothing where it is no terminal or the command is to be quiet."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    stderr = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=stderr, transient=True, disable=is_quiet or not stderr.is_terminal) as progress:
        yield progress
