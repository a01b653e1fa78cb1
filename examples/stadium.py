#!/usr/bin/env python3
"""Prints the event file of a stadium, by default of 50,000 seats: two rings of sections around the pitch.

python examples/stadium.py > stadium.json
nexus events create stadium.json --publish
nexus map stadium --section 101
"""

# ruff: noqa: T201 - printing is what it is for
from __future__ import annotations

import argparse
import json
from math import cos, pi, sin

MAX_SEATS = 100_000
PITCH_LENGTH, PITCH_WIDTH = 130.0, 95.0  # metres, of the oval that the first row runs around
ROW_DISTANCE = 0.8
TIER_GAP = 4.0
PRICES = [("lower", "Lower tier", 8900), ("upper", "Upper tier", 4900), ("corner", "Corner", 2900)]


def seats_of(args: argparse.Namespace, tier: int, place: int, row: int) -> list[dict[str, object]]:
    """Make the seats of a row: a piece of an oval; between two sections there is an aisle."""
    section_id = f"{tier}{place:02}"
    out = (tier - 1) * (args.rows * ROW_DISTANCE + TIER_GAP) + row * ROW_DISTANCE
    is_corner = place % max(1, args.sections // 4) == args.sections // 8
    category = "corner" if is_corner else "lower" if tier == 1 else "upper"
    seats: list[dict[str, object]] = []
    for number in range(1, args.seats + 1):
        # 8 % of a section's width is the aisle.
        angle = 2 * pi * (place - 1 + 0.04 + 0.92 * (number - 0.5) / args.seats) / args.sections
        x, y = (PITCH_LENGTH / 2 + out) * cos(angle), (PITCH_WIDTH / 2 + out) * sin(angle)
        seats.append(
            {"seat_id": f"{section_id}-{row}-{number}", "category_id": category, "x": round(x, 2), "y": round(y, 2)}
        )
    return seats


def main() -> None:
    """Print the event as JSON, a row a line."""
    parser = argparse.ArgumentParser(description="Print the event file of a stadium.")
    parser.add_argument("--event-id", default="stadium")
    parser.add_argument("--tiers", type=int, default=2)
    parser.add_argument("--sections", type=int, default=50, help="per tier (default: 50)")
    parser.add_argument("--rows", type=int, default=25, help="per section (default: 25)")
    parser.add_argument("--seats", type=int, default=20, help="per row (default: 20)")
    args = parser.parse_args()
    count = args.tiers * args.sections * args.rows * args.seats
    if not 1 <= count <= MAX_SEATS or min(args.tiers, args.sections, args.rows, args.seats) < 1:
        parser.error(f"{count} seats; an event has 1 to {MAX_SEATS}")
    head = {
        "event_id": args.event_id,
        "title": "Cup Final",
        "venue": "Nexus Arena",
        "starts_at": "2030-06-01T18:30:00Z",
        "currency_code": "EUR",
        "price_categories": [dict(zip(("category_id", "title", "amount_minor"), it, strict=True)) for it in PRICES],
    }
    sections = []
    for tier in range(1, args.tiers + 1):
        for place in range(1, args.sections + 1):
            rows = [
                f'{{"row_id": "{row}", "seats": {json.dumps(seats_of(args, tier, place, row))}}}'
                for row in range(1, args.rows + 1)
            ]
            section_id = f"{tier}{place:02}"
            listed = ",\n".join(rows)
            sections.append(f'{{"section_id": "{section_id}", "title": "Block {section_id}", "rows": [\n{listed}]}}')
    # By hand around json.dumps: one line per row can be read, searched and compared.
    print(json.dumps(head, indent=2).removesuffix("\n}") + ',\n  "sections": [\n' + ",\n".join(sections) + "]\n}")


if __name__ == "__main__":
    main()
