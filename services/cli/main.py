"""The `nexus` command: what it can be asked, and how it answers. Each command's work is in its own module."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

# A command loads what it needs when it runs: `nexus token` is called in loops.
from services.cli import booking, checkcommands, cluster, opscommands
from services.cli.connection import Connection, Seconds, asks_gateway, connected
from services.cli.errors import CallError, StackError
from services.cli.home import home
from services.cli.ports import Ports
from services.cli.roles import Role
from services.cli.run import COMPONENTS, run_component
from services.common.config import USAGE_ERROR, ConfigError
from services.registrar.errors import RegistrationError

if TYPE_CHECKING:
    from services.cli.local import LocalStack

app = typer.Typer(
    help="Runs Nexus, sets up this machine, and calls the gateway.",
    epilog="Exit codes: 0 done, 1 refused or failed, 2 used wrongly, 3 the gateway cannot be reached, "
    "4 not signed in, 5 no answer in time, 6 damage found.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
HERE = "On this machine"
TOOLS = "Keys, tokens, any RPC"
app.add_typer(booking.app)
app.add_typer(checkcommands.app)
app.add_typer(opscommands.app)
app.add_typer(cluster.app, name="cluster", rich_help_panel=TOOLS)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def _show_version(asked: bool) -> None:
    if asked:
        from importlib import metadata

        print(f"nexus {metadata.version('nexus')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Run Nexus, set up this machine, and call the gateway."""


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 1 refused or failed, 2 used wrongly, 3 the gateway cannot be reached, 4 not signed in,
    5 no answer in time, 6 damage found.
    """
    # The first process of a container would else ignore it: while it starts, and a command for good.
    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except ConfigError as error:
        for variable, expected in error.problems.items():
            print(f"nexus: {variable}: {expected}", file=sys.stderr)
        raise SystemExit(USAGE_ERROR) from None
    except (StackError, RegistrationError, CallError, PermissionError) as error:
        print(f"nexus: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code if isinstance(error, CallError) else 1) from None
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


@app.command(rich_help_panel=HERE)
def run(
    component: Annotated[str, typer.Argument(help=f"One of {', '.join(COMPONENTS)}.")],
    insecure_dev: Annotated[
        bool, typer.Option("--insecure-dev", help="Gateway: believe whoever says who they are. Never in production.")
    ] = False,
) -> None:
    """Become one server process; its settings are NEXUS_ variables (see README.md)."""
    if insecure_dev:
        os.environ["NEXUS_INSECURE_DEV"] = "true"
    run_component(component)


@app.command(rich_help_panel=HERE)
def up(
    reload: Annotated[
        bool, typer.Option("--reload", help="Then restart and register what changes, until Ctrl-C or `nexus down`.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start everything on this machine, register it, make the event `demo`; a second time changes nothing."""
    from services.cli import up as stacks

    stack = _stack()
    told = stacks.up(stack, _say)
    print(json.dumps(stacks.status(stack), indent=2) if as_json else told, flush=True)
    if reload:
        from services.cli.reload import watch

        try:
            # Inside: whoever has read it may press Ctrl-C at once.
            _say("following the code; Ctrl-C ends this, not the stack")
            watch(stack, _say)
        except KeyboardInterrupt:
            raise SystemExit(0) from None


@app.command(rich_help_panel=HERE)
def down(
    wipe: Annotated[bool, typer.Option("--wipe", help="Also remove everything that was stored.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop what `up` started; data is kept."""
    from services.cli import up as stacks

    told = stacks.down(_stack(), wipe=wipe)
    print(json.dumps({"done": told}) if as_json else told)


@app.command(rich_help_panel=HERE)
def status(as_json: AsJson = False) -> None:
    """Show each component with its ports; exit code 1 unless all are ready."""
    from services.cli import up as stacks

    rows = stacks.status(_stack())
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        table = [
            (
                row["component"],
                row["state"],
                row["pid"] or "",
                row["since"] or "",
                " ".join(map(_port, row["ports"].items())),
            )
            for row in rows
        ]
        _print_table(("component", "state", "pid", "since (UTC)", "ports"), table)
    if any(row["state"] != "ready" for row in rows):
        raise SystemExit(1)


@app.command(rich_help_panel=HERE)
def logs(
    components: Annotated[list[str] | None, typer.Argument(help="Only these components.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Last lines of each log.")] = 20,
) -> None:
    """Show the logs of the local stack."""
    from services.cli import up as stacks

    try:
        for line in stacks.logs(_stack(), components or [], lines, follow=follow):
            print(line, flush=True)
    except KeyboardInterrupt:
        raise SystemExit(0) from None


@app.command(rich_help_panel=HERE)
def register(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Then remove our old versions that are drained.")] = False,
    breaking: Annotated[bool, typer.Option("--breaking", help="Allow what Restate calls a breaking change.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for endpoints.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Register the endpoints with Restate; repeating it changes nothing.

    NEXUS_ENDPOINTS (ticket=http://127.0.0.1:9081,...) and NEXUS_ADMIN_URL name others than this machine's.
    """
    import asyncio

    from services.cli import up as stacks
    from services.registrar.registration import parse_endpoints

    stack = _stack()
    text = os.environ.get("NEXUS_ENDPOINTS", "")
    found = parse_endpoints(text) if text else stacks.endpoints(stack)
    admin_url = os.environ.get("NEXUS_ADMIN_URL") or stack.admin_url
    rows, removed = asyncio.run(
        stacks.register(admin_url, found, dry_run=dry_run, breaking=breaking, prune=prune, seconds=timeout)
    )
    table = [{name: str(getattr(row, name)) for name in row.__struct_fields__} for row in rows]
    if as_json:
        print(json.dumps({"services": table, "removed": removed, "dry_run": dry_run}, indent=2))
        return
    _print_table(tuple(table[0]), [tuple(row.values()) for row in table])
    for address in removed:
        print(f"{'would remove' if dry_run else 'removed'} {address}: drained")


@app.command(rich_help_panel=TOOLS)
def token(
    subject: Annotated[str, typer.Argument(help="Who signs in, for example ada.")],
    role: Annotated[list[Role] | None, typer.Option("--role", help="May be given several times.")] = None,
    hours: Annotated[float, typer.Option("--hours", help="How long the token is valid.")] = 12,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Ed25519 key (PEM) to sign with, for example of a cluster's trial."),
    ] = None,
    kid: Annotated[str, typer.Option("--kid", help="Id of that key, for a gateway that knows several.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print a sign-in token, signed with the development key that `nexus up` made, or with --key."""
    from services.cli import token as tokens

    private = key or home() / "keys" / "auth-private.pem"
    if key is None and not private.exists():
        raise StackError(f"there is no {private}: run `make up` (or `nexus keys`) first")
    signed = tokens.sign(private, subject, [it.value for it in role or []], hours, kid)
    print(json.dumps({"token": signed}) if as_json else signed)


@app.command(rich_help_panel=TOOLS)
def keys(
    folder: Annotated[Path | None, typer.Option("--folder", help="Where; default: those of `nexus up`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make the keys that are missing, and show where they are and the public ones."""
    from services.cli import keys as key_files

    made = key_files.ensure(folder or home() / "keys")
    shown = {
        "identity_private_key": str(made.identity_pem),
        "identity_public_key": made.identity_public,
        "sign_in_private_key": str(made.auth_private_pem),
        "sign_in_public_key": str(made.auth_public_pem),
        "seal_keys": str(made.identity_pem.parent / "seal.key"),
        "subject_key": str(made.identity_pem.parent / "subject.key"),
    }
    print(json.dumps(shown, indent=2) if as_json else "\n".join(f"{name}: {value}" for name, value in shown.items()))


@app.command(rich_help_panel=TOOLS)
@asks_gateway()
def call(
    method: Annotated[str, typer.Argument(help="An RPC, for example HoldSeats or TicketService/HoldSeats.")],
    body: Annotated[str, typer.Argument(help="The request as JSON; - reads it from standard input.")] = "{}",
    seconds: Seconds = 30,
    as_json: Annotated[bool, typer.Option("--json", help="The answer is JSON anyway.")] = True,
    *,
    to: Connection,
) -> None:
    """Call any RPC over gRPC and print the answer as JSON; a refusal is one line on stderr.

    Signs in only with --token (or NEXUS_TOKEN) or --as.
    """
    from services.cli import call as calls

    del as_json
    with connected(to, is_signed=False, seconds=seconds) as door:
        for answer in calls.call(door, method, sys.stdin.read() if body == "-" else body, seconds):
            print(json.dumps(answer, indent=2, ensure_ascii=False), flush=True)


def _end(number: int, _frame: object) -> NoReturn:
    """End as by Ctrl-C, all clean-up included. Servers put handlers of their own in place of this one."""
    raise SystemExit(128 + number)


def _say(line: str) -> None:
    """Tell what is being done: on stderr, so that what is for programs stays clean."""
    print(line, file=sys.stderr, flush=True)


def _stack() -> LocalStack:
    from services.cli.local import LocalStack

    return LocalStack(home(), Ports.chosen(home(), os.environ))


def _port(named: tuple[str, int]) -> str:
    return f"{named[0]}:{named[1]}"


def _print_table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    # A pipe gets every column whole, a terminal what fits.
    Console(width=None if sys.stdout.isatty() else 240).print(table)
