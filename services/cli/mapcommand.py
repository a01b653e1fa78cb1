"""`nexus map`: what it can be asked; the work is in `mapview.py`."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.connection import AsJson, Connection, asks_gateway, connected
from services.cli.roles import Role

app = typer.Typer()


@app.command("map", rich_help_panel="Events")
@asks_gateway()
def show_map(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Id of the event, for example demo.")],
    section: Annotated[str, typer.Option("--section", help="Only this section.")] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on and show each change; Ctrl-C ends it.")] = False,
    *,
    to: Connection,
    as_json: AsJson = False,
) -> None:
    """Draw the seat map of an event, live with --watch.

    A figure is a free seat and names its price category; H is held, S sold, B blocked. Of a hall of more than 3,000
    seats only the sections are shown: --section ID draws the rows of one.
    """
    with connected(to, is_public=True, default_role=Role.ORGANIZER) as door:
        from services.cli import mapview

        show = mapview.watch if watch else mapview.show
        show(door, {"event_id": event, "section_id": section}, as_json=as_json)
