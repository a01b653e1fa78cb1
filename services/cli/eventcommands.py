"""`nexus events`: lists, shows and creates events, through the gRPC door."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from services.cli.connection import AsJson, Connection, asks_gateway, connected, reported
from services.cli.roles import Role
from services.cli.show import console, moment, money, print_json, print_table, styled, word, working

CREATE_SECONDS: Final = 180.0
"""A stadium's layout is written in many pieces."""

STATE_STYLES: Final = {"ON_SALE": "green", "PAUSED": "yellow", "CLOSED": "red", "DRAFT": "dim"}
app = typer.Typer(help="List, show and create events.", invoke_without_command=True)


@app.callback()
@asks_gateway()
def events(
    ctx: typer.Context,
    *,
    to: Connection,
    as_json: AsJson = False,
) -> None:
    """List published events, newest first, and your own drafts."""
    if ctx.invoked_subcommand is not None:
        # By name: typer has a click of its own, whose enum is not public.
        misplaced = [it for it in ctx.params if getattr(ctx.get_parameter_source(it), "name", "") == "COMMANDLINE"]
        if misplaced:
            # Here they would say nothing to the command that follows.
            raise typer.BadParameter(f"give options after the command: nexus events {ctx.invoked_subcommand} ...")
        return
    with connected(to, is_public=True, default_role=Role.ORGANIZER) as door:
        found = list(door.pages("ListEvents", {"page_size": 100}, "events"))
    if as_json:
        print_json({"events": found})
        return
    if not found:
        console().print("no events yet; make one with: nexus events create FILE --publish", style="dim")
        return
    rows = [
        (
            it["event_id"],
            styled(it["state"], "EVENT_STATE_", STATE_STYLES),
            f"{it['seat_count']:,}",
            moment(it["starts_at"]),
            it["title"],
            it["venue"],
        )
        for it in found
    ]
    print_table(("event", "state", "seats>", "starts", "title", "venue"), rows)


@app.command()
@asks_gateway()
def show(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Id of the event, for example demo.")],
    *,
    to: Connection,
    as_json: AsJson = False,
) -> None:
    """Show an event: its terms, prices and sections."""
    with connected(to, is_public=True, default_role=Role.ORGANIZER) as door:
        found = door.call("GetEvent", {"event_id": event})
    if as_json:
        print_json(found)
    else:
        _print_event(found)


@app.command()
@asks_gateway()
def create(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON of an event, or pretix's plan as JSON.")],
    publish: Annotated[bool, typer.Option("--publish", help="Open the sale at once.")] = False,
    prices: Annotated[
        Path | None,
        typer.Option("--prices", help="Price list of a pretix plan; default: PLAN.prices.yaml beside PLAN.json."),
    ] = None,
    *,
    to: Connection,
    as_json: AsJson = False,
) -> None:
    """Create an event from a file: an event file (see examples/) or a seating plan of pretix.

    A mistake in the file is named with its line, and nothing is created. Repeating it gives the same event. Signs in
    as an organizer unless --token or --role say otherwise.
    """
    with reported(), working(is_quiet=as_json) as progress:
        task = progress.add_task(f"reading {file}")
        from services.cli.eventfile import create_request, read_event, seat_count

        event = read_event(file, prices)
        with connected(to, default_role=Role.ORGANIZER, seconds=CREATE_SECONDS) as door:
            progress.update(task, description=f"creating {seat_count(event):,} seats")
            found = door.call("CreateEvent", create_request(event))
            if publish:
                progress.update(task, description="opening the sale")
                found = door.call("PublishEvent", {"event_id": found["event_id"]})
    if as_json:
        print_json(found)
        return
    state = word(found["state"], "EVENT_STATE_")
    done = "is on sale" if state == "ON_SALE" else f"is {state}"
    console().print(
        f"[green]{found['event_id']}[/] {done}: {found['seat_count']:,} seats; see: nexus map {found['event_id']}"
    )


def _print_event(event: dict[str, Any]) -> None:
    from rich.markup import escape

    out = console()
    out.print(f"[bold]{escape(event['title'])}[/]  ", styled(event["state"], "EVENT_STATE_", STATE_STYLES))
    out.print(f"{event['venue']}, {moment(event['starts_at'])}; {event['seat_count']:,} seats", highlight=False)
    window = [
        f"{words} {moment(event[name])}"
        for name, words in (("sale_starts_at", "from"), ("sale_ends_at", "until"))
        if event.get(name)
    ]
    if window:
        out.print(f"sold {' '.join(window)}")
    out.print(f"a hold lives {event['hold_seconds']} s; at most {event['max_seats_per_buyer']} seats per buyer")
    out.print()
    print_table(
        ("category", "title", "price>"),
        [
            (it["category_id"], it["title"], money(it.get("amount_minor", 0), event["currency_code"]))
            for it in event["price_categories"]
        ],
    )
    out.print()
    print_table(
        ("section", "title", "seats>"),
        [(it["section_id"], it["title"], f"{it['seat_count']:,}") for it in event["sections"]],
    )
