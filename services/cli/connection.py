"""Which gateway a command calls and who it signs in as: options declared once, and how failures end."""

from __future__ import annotations

import functools
import getpass
import inspect
import os
import ssl
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from services.cli.errors import NOT_SIGNED_IN, FileError, GatewayError
from services.cli.home import home
from services.cli.ports import Ports
from services.cli.roles import Role

# gRPC is loaded when it is needed: `nexus token` and others need none of it.
if TYPE_CHECKING:
    import grpc

    from services.cli.client import Gateway

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
TOKEN_HOURS: Final = 1.0
PANEL: Final = "Gateway and sign-in"


def _option(name: str, help_text: str, variable: str | None = None, **more: Any) -> Any:
    return typer.Option(
        *name.split(),
        envvar=variable,
        show_envvar=variable is not None,
        help=help_text,
        rich_help_panel=PANEL,
        **more,
    )


def _file(name: str, help_text: str, variable: str) -> Any:
    return _option(name, help_text, variable, metavar="FILE", exists=True, dir_okay=False, readable=True)


@dataclass(frozen=True)
class Connection:
    """The options of every command that calls the gateway; see `asks_gateway`."""

    gateway: Annotated[
        str | None,
        _option(
            "--gateway --address",
            "The gateway's gRPC door, host:port; default: this machine's.",
            "NEXUS_GATEWAY",
            metavar="HOST:PORT",
        ),
    ] = None
    token: Annotated[
        str | None, _option("--token", "Bearer token to sign in with.", "NEXUS_TOKEN", metavar="TOKEN")
    ] = None
    subject: Annotated[
        str | None,
        _option(
            "--as",
            "Sign in as this subject, with the development key of `nexus up`; default: your user name.",
            metavar="SUBJECT",
        ),
    ] = None
    role: Annotated[list[Role] | None, _option("--role", "Role of the subject; may be given several times.")] = None
    tls: Annotated[bool, _option("--tls", "Call over TLS, also where no file is named.", "NEXUS_TLS")] = False
    ca: Annotated[
        Path | None,
        _file("--ca", "Trust certificates of these authorities (PEM), not the system's; means --tls.", "NEXUS_CA_FILE"),
    ] = None
    cert: Annotated[
        Path | None, _file("--cert", "Our own certificate (PEM), with --key; means --tls.", "NEXUS_CERT_FILE")
    ] = None
    key: Annotated[Path | None, _file("--key", "The key of --cert (PEM).", "NEXUS_KEY_FILE")] = None

    @property
    def address(self) -> str:
        """Where the gateway is: the one named, or this machine's."""
        return self.gateway or f"127.0.0.1:{Ports.chosen(home(), os.environ).grpc_port}"

    @property
    def is_local(self) -> bool:
        """Tell whether the gateway may be this machine's, which knows our development key."""
        return self.address.rpartition(":")[0] in LOOPBACK

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Give what a channel over TLS needs; None for one in the clear. Raises typer.BadParameter."""
        if not (self.tls or self.ca or self.cert or self.key):
            return None
        if (self.cert is None) != (self.key is None):
            raise typer.BadParameter("--cert and --key (NEXUS_CERT_FILE, NEXUS_KEY_FILE) go together")
        # gRPC takes whatever it is given, and then says only that the gateway cannot be reached.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if self.ca:
                context.load_verify_locations(self.ca)
        except OSError:
            raise typer.BadParameter("--ca (NEXUS_CA_FILE): expected certificates in PEM form") from None
        try:
            if self.cert:
                # With an empty password the library does not ask for one at the terminal.
                context.load_cert_chain(self.cert, self.key, password="")
        except OSError:
            raise typer.BadParameter("--cert, --key: expected a certificate and its key, unencrypted PEM") from None
        import grpc

        found = [path.read_bytes() if path else None for path in (self.ca, self.key, self.cert)]
        return grpc.ssl_channel_credentials(*found)


Seconds = Annotated[
    float, typer.Option("--timeout", min=0.001, help="Deadline of a call in seconds.", rich_help_panel=PANEL)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]


def asks_gateway(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of Connection, which it takes as its parameter `to`; without those left out."""
    hints = typing.get_type_hints(Connection, include_extras=True)
    shared = {
        field.name: inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(Connection)
        if field.name not in left_out
    }

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def asked(**given: Any) -> None:
            # gRPC reads it when it is loaded; its own lines would stand beside ours, which say the same.
            os.environ.setdefault("GRPC_VERBOSITY", "NONE")
            to = Connection(**{name: given.pop(name) for name in shared})
            command(to=to, **given)

        own = inspect.signature(command, eval_str=True).parameters.values()
        named = [it.replace(kind=inspect.Parameter.KEYWORD_ONLY) for it in own if it.name != "to"]
        # typer reads both.
        asked.__signature__ = inspect.Signature([*named, *shared.values()])  # type: ignore[attr-defined]
        asked.__annotations__ = {it.name: it.annotation for it in (*named, *shared.values())}
        return asked

    return decorate


@contextmanager
def connected(
    to: Connection,
    *,
    is_public: bool = False,
    is_signed: bool = True,
    default_role: Role | None = None,
    seconds: float = 30,
) -> Iterator[Gateway]:
    """Open the gateway for a command; turn its failures into one line on stderr and an exit code.

    `is_public`: go on without signing in where that cannot be done; not `is_signed`: sign in only as whom the options
    name. Exit codes: 1 refused, 3 the gateway cannot be reached, 4 not signed in, 5 the outcome is not known.
    """
    from services.cli.client import Gateway

    with reported():
        named = [role.value for role in to.role or ([default_role] if default_role else [])]
        # Who names a subject means it, also where NEXUS_TOKEN is set.
        bearer = None if to.subject else to.token
        if bearer is None and (is_signed or to.subject):
            bearer = _own_token(to, named, is_public=is_public)
        with Gateway(to.address, bearer, seconds, to.credentials()) as opened:
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


def _own_token(to: Connection, roles: Sequence[str], *, is_public: bool) -> str | None:
    """Sign a token with the development key of this machine, if there is one and the gateway may know it."""
    from services.cli import token as tokens

    key = home() / "keys" / "auth-private.pem"
    # Another machine's gateway does not know our key: it would refuse even what needs no signing in.
    is_ours = to.subject is not None or to.is_local
    if key.exists() and is_ours:
        return tokens.sign(key, to.subject or local_user(), roles, TOKEN_HOURS)
    if is_public and to.subject is None:
        return None
    why = f"there is no development key {key}" if is_ours else f"{to.address} does not know this machine's key"
    raise GatewayError(f"not signed in: give --token or set NEXUS_TOKEN ({why})", NOT_SIGNED_IN)


def local_user() -> str:
    """Name the person at this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user id without a name.
        return "local"
