"""`nexus preflight`, `smoke` and `race`: is this machine fit, does that installation sell, and to one alone."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.connection import PANEL, AsJson, Connection, Seconds, asks_gateway, connected, reported
from services.cli.home import home
from services.cli.ports import Ports
from services.cli.roles import Role
from services.cli.show import print_table

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
@asks_gateway("subject", "role")
def smoke(
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
    *,
    to: Connection,
) -> None:
    """Sell two seats of an event of its own at any installation, check every answer, close the event.

    Without a token it signs in with the development key of this machine. Exit codes as everywhere: 1 something was
    answered wrongly, 3 the gateway cannot be reached, 4 not signed in.
    """
    buying = to if to.token else replace(to, subject="smoke-buyer")
    token = organizer_token or to.token
    organizing = replace(to, token=token) if token else replace(to, subject="smoke-organizer")
    with (
        reported(),
        connected(buying, seconds=seconds) as buyer,
        connected(organizing, default_role=Role.ORGANIZER, seconds=seconds) as organizer,
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


@app.command(rich_help_panel=CHECKS)
@asks_gateway("token", "subject", "role")
def race(
    buyers: Annotated[int, typer.Option("--buyers", min=2, max=2000, help="How many want the seat.")] = 100,
    sign_in_key: Annotated[
        Path | None,
        typer.Option(
            "--sign-in-key",
            metavar="FILE",
            envvar="NEXUS_SIGN_IN_KEY",
            show_envvar=True,
            help="Key (PEM) that signs the tokens of buyers and organizer; default: this machine's development key.",
        ),
    ] = None,
    kid: Annotated[str, typer.Option("--kid", help="Id of --sign-in-key.")] = "helm-test",
    payments_url: Annotated[
        str | None,
        typer.Option("--payments-url", metavar="URL", envvar="NEXUS_PAYMENTS_URL", help="The payment simulator."),
    ] = None,
    mail_url: Annotated[
        str | None, typer.Option("--mail-url", metavar="URL", envvar="NEXUS_MAIL_URL", help="The mail sink, HTTP.")
    ] = None,
    seconds: Seconds = 60,
    as_json: AsJson = False,
    *,
    to: Connection,
) -> None:
    """Let buyers go for one seat at once at any installation with the simulators; judge tickets, money and mail.

    Passes only with one seat sold, every other buyer refused with SEAT_UNAVAILABLE, one capture in the ledger and one
    mail. Its event is its own, `helm-test-...`, and is closed. Exit codes as everywhere: 1 something did not hold.
    """
    if not to.is_local and not (payments_url and mail_url and sign_in_key):
        raise typer.BadParameter("another machine's gateway needs --sign-in-key, --payments-url and --mail-url")
    from services.cli import race as races
    from services.cli import token as tokens
    from services.cli.client import Gateway

    private = sign_in_key or home() / "keys" / "auth-private.pem"
    key_id = kid if sign_in_key else ""
    ports = Ports.chosen(home(), os.environ)
    credentials = to.credentials()
    with reported():
        signed = [tokens.sign(private, f"{races.PREFIX}{number}", (), 1, key_id) for number in range(buyers)]
        organizer = tokens.sign(private, f"{races.PREFIX}organizer", (Role.ORGANIZER.value,), 1, key_id)
        with Gateway(to.address, organizer, seconds, credentials) as door:
            report = races.Race(
                door,
                signed,
                credentials=credentials,
                payments_url=payments_url or f"http://127.0.0.1:{ports.payments_port}",
                mail_url=mail_url or f"http://127.0.0.1:{ports.mail_http_port}",
                seconds=seconds,
            ).run()
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        rows = [(code, reason, str(count)) for code, reason, count in report.counts()]
        print_table(("code", "reason", "buyers>"), rows)
        for check in report.checks:
            _line("ok" if check.is_ok else "failed", check.name, 30, check.text)
        print(f"event {report.event_id} is closed; {report.buyers} buyers took {report.seconds:.1f} s")
    raise SystemExit(0 if report.is_ok else 1)


def _line(state: str, name: str, width: int, text: str) -> None:
    """Print a line, its state in colour on a terminal; at once, since the next may take a while."""
    is_coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    shown = typer.style(f"{state:7}", fg=COLOURS[state], bold=True) if is_coloured else f"{state:7}"
    print(f"{shown} {name:{width}} {text}", flush=True)
