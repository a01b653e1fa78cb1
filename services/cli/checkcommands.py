"""`nexus preflight` and `nexus smoke`: is this machine fit, does that installation sell."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Final

import typer

from services.cli.connection import PANEL, AsJson, At, Seconds, Signed, connected, reported
from services.cli.home import home
from services.cli.ports import Ports
from services.cli.roles import Role

CHECKS: Final = "Checks"
COLOURS: Final = {"ok": "green", "note": "yellow", "skipped": "yellow", "stop": "red", "failed": "red"}
app = typer.Typer()


@app.command(rich_help_panel=CHECKS)
def preflight(as_json: AsJson = False) -> None:
    """Tell of tools, packages, ports and health what is fine; exit code 1 if something would stop `make up`."""
    from services.cli.local import LocalStack
    from services.cli.preflight import preflight as look
    from services.cli.tools import STOP

    checks = look(LocalStack(home(), Ports.chosen(home(), os.environ)))
    stops = [check for check in checks if check.state == STOP]
    if as_json:
        rows = [{"name": check.name, "state": check.state, "text": check.text} for check in checks]
        print(json.dumps({"ok": not stops, "checks": rows}, indent=2))
    else:
        for check in checks:
            _line(check.state, check.name, 17, check.text)
        print(f"{len(stops)} would stop `make up`" if stops else "nothing stops `make up`")
    raise SystemExit(1 if stops else 0)


@app.command(rich_help_panel=CHECKS)
def smoke(
    gateway: At = None,
    token: Signed = None,
    organizer_token: Annotated[
        str | None,
        typer.Option(
            "--organizer-token",
            metavar="TOKEN",
            envvar="NEXUS_ORGANIZER_TOKEN",
            show_envvar=True,
            help="Token of an organizer; default: --token, whose subject must then be one.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    card: Annotated[str, typer.Option("--card", help="A payment method that pays.")] = "card_success",
    declined: Annotated[str, typer.Option("--declined-card", help="One that is declined.")] = "card_decline",
    email: Annotated[str, typer.Option("--email", help="Where the tickets go.")] = "smoke@nexus.invalid",
    seconds: Seconds = 30,
    as_json: AsJson = False,
) -> None:
    """Sell two seats of an event of its own at any installation, check every answer, close the event.

    Without a token it signs in with the development key of this machine. Exit codes as everywhere: 1 something was
    answered wrongly, 3 the gateway cannot be reached, 4 not signed in.
    """
    with (
        reported(),
        connected(gateway, token, None if token else "smoke-buyer", None, seconds=seconds) as buyer,
        connected(
            gateway,
            organizer_token or token,
            None if organizer_token or token else "smoke-organizer",
            None,
            default_role=Role.ORGANIZER,
            seconds=seconds,
        ) as organizer,
    ):
        from services.cli import smoke as walks

        walk = walks.Walk(buyer, organizer, walks.Cards(card, declined), email)
        steps = []
        for step in walk.run():
            steps.append(step)
            if not as_json:
                _line(step.state, step.name, 26, f"{step.seconds * 1000:5.0f} ms  {step.text}")
        if as_json:
            print(walks.report(walk, buyer.address, steps))
    raise SystemExit(walks.exit_code(steps))


def _line(state: str, name: str, width: int, text: str) -> None:
    """Print a line, its state in colour on a terminal; at once, since the next may take a while."""
    is_coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    shown = typer.style(f"{state:7}", fg=COLOURS[state], bold=True) if is_coloured else f"{state:7}"
    print(f"{shown} {name:{width}} {text}", flush=True)
