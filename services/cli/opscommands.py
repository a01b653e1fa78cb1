"""`nexus verify`, `doctor`, `timeline`, `retry`: what an operator asks of the component ops. For admins only."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from services.cli import opsview
from services.cli.connection import PANEL, AsJson, Connection, asks_gateway, connected
from services.cli.errors import FOUND, UNREACHABLE, CallError
from services.cli.home import home
from services.cli.ports import Ports
from services.cli.roles import Role
from services.cli.show import console, print_json

OPERATING: Final = "Operating"
AUDIT_FACTOR: Final = 5
"""An audit may take so many times settle_seconds, and AUDIT_SECONDS more to read."""

AUDIT_SECONDS: Final = 300.0
ERASE_SECONDS: Final = 180.0
"""Longer than the store takes to write two kinds of files anew (services.common.datakeys_valkey)."""

PLAIN: Final[Mapping[str, Any]] = {"tls": False, "ca": None, "cert": None, "key": None}
"""Of a Connection: nothing of TLS."""

app = typer.Typer()

Ops = Annotated[
    str | None,
    typer.Option(
        "--ops",
        metavar="HOST:PORT",
        envvar="NEXUS_OPS",
        show_envvar=True,
        help="The gRPC door of ops, host:port; default: this machine's.",
        rich_help_panel=PANEL,
    ),
]


@app.command(rich_help_panel=OPERATING)
@asks_gateway()
def verify(  # noqa: PLR0913, PLR0917 - its options are its arguments
    to: Connection,
    events: Annotated[list[str] | None, typer.Argument(metavar="EVENT", help="Ids of the events.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every event that the gateway (--gateway) lists.")] = False,
    on_sale: Annotated[bool, typer.Option("--on-sale", help="Of these, the ones on sale or paused.")] = False,
    settle: Annotated[
        int, typer.Option("--settle", min=1, max=300, help="Seconds that a difference must persist to count as damage.")
    ] = 30,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Keep the signed report of the one event in a file.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="FILE", exists=True, dir_okay=False, help="Check a report that was kept."),
    ] = None,
    public: Annotated[
        Path | None,
        typer.Option("--report-key", metavar="FILE", exists=True, help="Public key (PEM) of reports; default: ours."),
    ] = None,
    ops: Ops = None,
    ops_plain: Annotated[
        bool, typer.Option("--ops-plain", help="Call ops in the clear, also where --tls is for the gateway.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Audit events on the running system: no seat sold twice, money and seats agree.

    Exit codes: 0 all is whole, 6 damage was found, 3 not everything could be looked at, 1 a report that is not what
    was signed.
    """
    if check is not None:
        _check(check, public or home() / "keys" / "report-public.pem", as_json=as_json)
        return
    is_listed = every or on_sale
    if bool(events) == is_listed or (save is not None and len(events or []) != 1):
        raise typer.BadParameter("name events, or give --all or --on-sale; --save keeps the report of one event")
    named = _listed(to, ("EVENT_STATE_ON_SALE", "EVENT_STATE_PAUSED") if on_sale else ()) if is_listed else events or []
    if not named:
        print("there is no event to audit", file=sys.stderr)
    answers = []
    door_of_ops = dataclasses.replace(_at(to, ops), **(PLAIN if ops_plain else {}))
    with connected(door_of_ops, default_role=Role.ADMIN, seconds=settle * AUDIT_FACTOR + AUDIT_SECONDS) as door:
        for event_id in named:
            answer = door.call("VerifyEvent", {"event_id": event_id, "settle_seconds": settle})
            answers.append(answer)
            if not as_json:
                opsview.print_report(answer["report"])
    if save is not None:
        opsview.save(save, answers[0]["signed_report"])
    if as_json:
        print_json(answers[0]["report"] if len(answers) == 1 and not is_listed else [it["report"] for it in answers])
    raise SystemExit(_exit_code([answer["report"]["verdict"] for answer in answers]))


@app.command(rich_help_panel=OPERATING)
@asks_gateway("gateway")
def doctor(
    to: Connection,
    everything: Annotated[bool, typer.Option("--everything", help="Also show what is fine and has not ended.")] = False,
    ops: Ops = None,
    as_json: AsJson = False,
) -> None:
    """Show what is stuck, why, and what to do. Exit code 6 where anything does not go on without help."""
    with connected(_at(to, ops), default_role=Role.ADMIN, seconds=60) as door:
        found = list(door.pages("ListUnfinished", {"include_fine": everything}, "unfinished"))
    if as_json:
        print_json(found)
    else:
        opsview.print_unfinished(found)
    raise SystemExit(FOUND if any(one["severity"] == "SEVERITY_STUCK" for one in found) else 0)


@app.command(rich_help_panel=OPERATING)
@asks_gateway("gateway")
def timeline(
    to: Connection,
    order_id: Annotated[str, typer.Argument(metavar="ORDER", help="Id of the order.")],
    ops: Ops = None,
    as_json: AsJson = False,
) -> None:
    """Tell what happened to an order: each step, attempt, error and compensation, with times."""
    with connected(_at(to, ops), default_role=Role.ADMIN, seconds=60) as door:
        told = door.call("GetOrderTimeline", {"order_id": order_id})
    if as_json:
        print_json(told)
    else:
        opsview.print_timeline(told)


@app.command(rich_help_panel=OPERATING)
@asks_gateway("gateway")
def retry(
    to: Connection,
    what: Annotated[str, typer.Argument(metavar="ORDER|INVOCATION", help="An order, or an invocation inv_...")],
    ops: Ops = None,
    as_json: AsJson = False,
) -> None:
    """Take up an order that does not end, or try a failing invocation now. Nothing new is charged or killed."""
    with connected(_at(to, ops), default_role=Role.ADMIN, seconds=60) as door:
        if what.startswith("inv_"):
            told = door.call("ResumeInvocation", {"invocation_id": what})
        else:
            told = door.call("RetryOrder", {"order_id": what})
    if as_json:
        print_json(told)
    elif what.startswith("inv_"):
        console().print(opsview.resumed(told))
    else:
        console().print(opsview.retried(told))


@app.command(rich_help_panel=OPERATING)
@asks_gateway("gateway")
def erase(
    to: Connection,
    buyer: Annotated[str, typer.Argument(metavar="BUYER", help="Who, as they sign in: the token's subject.")],
    ops: Ops = None,
    as_json: AsJson = False,
) -> None:
    """Make a buyer's mail addresses unreadable for good; orders and tickets stay. Exit code 6: a copy may be left."""
    with connected(_at(to, ops), default_role=Role.ADMIN, seconds=ERASE_SECONDS) as door:
        told = door.call("EraseBuyer", {"subject": buyer})
    if as_json:
        print_json(told)
    else:
        for line in opsview.erased(told):
            console().print(line)
    raise SystemExit(FOUND if told.get("remains") else 0)


def _at(to: Connection, ops: str | None) -> Connection:
    """Take the gRPC door of ops in place of the gateway's."""
    import os

    return dataclasses.replace(to, gateway=ops or f"127.0.0.1:{Ports.chosen(home(), os.environ).ops_grpc_port}")


def _listed(to: Connection, states: Collection[str]) -> list[str]:
    """Name the events that the gateway lists, in any of these states; none: in all."""
    with connected(to, is_public=True) as door:
        listed = door.pages("ListEvents", {"page_size": 100}, "events")
        return [event["event_id"] for event in listed if not states or event["state"] in states]


def _exit_code(verdicts: Sequence[str]) -> int:
    if "VERDICT_FAILED" in verdicts:
        return FOUND
    return UNREACHABLE if any(verdict != "VERDICT_PASSED" for verdict in verdicts) else 0


def _check(file: Path, public: Path, *, as_json: bool) -> None:
    """Tell whether a kept report is what was signed, and show it. Raises CallError."""
    from services.ops.signing import ReportKeyError, public_key

    if not public.exists():
        raise CallError(f"there is no {public}: --report-key names the public key of reports (PEM)")
    try:
        key = public_key(public.read_bytes())
    except ReportKeyError as error:
        raise CallError(f"{public}: {error}") from None
    told: dict[str, Any] = opsview.checked(file, key)
    if as_json:
        print_json(told)
    else:
        opsview.print_report(told)
        print(f"{file}: signed by this key, unchanged", file=sys.stderr)
    raise SystemExit(_exit_code([told["verdict"]]))
