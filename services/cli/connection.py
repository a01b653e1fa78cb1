"""Which gateway the booking commands call and who they sign in as; how their failures end."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from services.cli.errors import NOT_SIGNED_IN, FileError, GatewayError
from services.cli.home import home
from services.cli.ports import Ports
from services.cli.roles import Role

# gRPC is loaded when it is needed: `nexus token` and others need none of it.
if TYPE_CHECKING:
    from services.cli.client import Gateway

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
TOKEN_HOURS: Final = 1.0
PANEL: Final = "Gateway and sign-in"

At = Annotated[
    str | None,
    typer.Option(
        "--gateway",
        metavar="HOST:PORT",
        envvar="NEXUS_GATEWAY",
        show_envvar=True,
        help="The gateway's gRPC door, host:port; default: this machine's.",
        rich_help_panel=PANEL,
    ),
]
Signed = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        envvar="NEXUS_TOKEN",
        show_envvar=True,
        help="Bearer token to sign in with.",
        rich_help_panel=PANEL,
    ),
]
Subject = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="SUBJECT",
        help="Sign in as this subject, with the development key of `nexus up`; default: your user name.",
        rich_help_panel=PANEL,
    ),
]
Roles = Annotated[
    list[Role] | None,
    typer.Option("--role", help="Role of the subject; may be given several times.", rich_help_panel=PANEL),
]
Seconds = Annotated[
    float, typer.Option("--timeout", min=0.001, help="Deadline of a call in seconds.", rich_help_panel=PANEL)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]


@contextmanager
def connected(
    gateway: str | None,
    token: str | None,
    subject: str | None,
    roles: Sequence[Role] | None,
    *,
    is_public: bool = False,
    default_role: Role | None = None,
    seconds: float = 30,
) -> Iterator[Gateway]:
    """Open the gateway for a command; turn its failures into one line on stderr and an exit code.

    `is_public`: go on without signing in where that cannot be done. Exit codes: 1 refused, 3 the gateway cannot be
    reached, 4 not signed in, 5 the outcome is not known.
    """
    from services.cli.client import Gateway

    with reported():
        address = gateway or f"127.0.0.1:{Ports.chosen(home(), os.environ).grpc_port}"
        named = [role.value for role in roles or ([default_role] if default_role else [])]
        # Who names a subject means it, also where NEXUS_TOKEN is set.
        bearer = None if subject else token
        bearer = bearer or _own_token(address, subject, named, is_public=is_public)
        with Gateway(address, bearer, seconds) as opened:
            yield opened


@contextmanager
def reported() -> Iterator[None]:
    """Turn a failure into a line on stderr and an exit code; mistakes in a file get a line each."""
    try:
        yield
    except GatewayError as error:
        print(f"nexus: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except FileError as error:
        first, *more = error.problems
        if not more:
            print(f"nexus: {error}", file=sys.stderr)
        else:
            print(f"nexus: {error.name}: {len(error.problems)} mistakes", file=sys.stderr)
            print("\n".join(f"  {problem}" for problem in (first, *more)), file=sys.stderr)
        raise SystemExit(1) from None


def _own_token(address: str, subject: str | None, roles: Sequence[str], *, is_public: bool) -> str | None:
    """Sign a token with the development key of this machine, if there is one and the gateway may know it."""
    from services.cli import token as tokens

    key = home() / "keys" / "auth-private.pem"
    # Another machine's gateway does not know our key: it would refuse even what needs no signing in.
    is_ours = subject is not None or address.rpartition(":")[0] in LOOPBACK
    if key.exists() and is_ours:
        return tokens.sign(key, subject or local_user(), roles, TOKEN_HOURS)
    if is_public and subject is None:
        return None
    why = f"there is no development key {key}" if is_ours else f"{address} does not know this machine's development key"
    raise GatewayError(f"not signed in: give --token or set NEXUS_TOKEN ({why})", NOT_SIGNED_IN)


def local_user() -> str:
    """Name the person at this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user id without a name.
        return "local"
