"""`nexus cluster`: what the chart's Jobs run, and how their like is run from outside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from services.registrar.admin import Admin
    from services.registrar.kube import Kube
    from services.registrar.registration import Row

app = typer.Typer(help="What the chart's Jobs run in a cluster; `run` is for people.", no_args_is_help=True)

Release = Annotated[str, typer.Option("--release", metavar="NAME", help="The Helm release.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="Its namespace.")]
Fullname = Annotated[
    str, typer.Option("--fullname", metavar="NAME", help="What the names of the release's objects begin with.")
]
Current = Annotated[
    str, typer.Option("--current", metavar="ENDPOINT=HASH,...", help="The versions that the release is made of.")
]
AdminUrl = Annotated[
    str, typer.Option("--admin-url", envvar="NEXUS_ADMIN_URL", metavar="URL", help="Restate's admin API.")
]
AdminToken = Annotated[
    str,
    # Never shown as a default: it is a secret.
    typer.Option("--admin-token", envvar="NEXUS_ADMIN_TOKEN", show_envvar=True, help="Sent as Bearer.", hidden=True),
]
ADDRESS = "http://{service}.{namespace}.svc:{port}"
Address = Annotated[
    str,
    typer.Option("--address", metavar="PATTERN", help="What Restate is told; also {cluster_ip} may be in it."),
]
HealthAddress = Annotated[
    str, typer.Option("--health-address", metavar="PATTERN", help="Where the endpoint is asked whether it runs.")
]


@app.command()
def register(  # noqa: PLR0913, PLR0917 - the options of a command
    release: Release,
    namespace: Namespace,
    current: Current,
    admin_url: AdminUrl,
    admin_token: AdminToken = "",
    address: Address = ADDRESS,
    health_address: HealthAddress = ADDRESS,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for endpoints.")] = 120,
    take_over: Annotated[bool, typer.Option("--take-over", help="Also take services of another release.")] = False,
    breaking: Annotated[bool, typer.Option("--breaking", help="Allow what Restate calls a breaking change.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Register the release's endpoints with Restate: all of them, or none; repeating it changes nothing."""
    from services.registrar import cluster

    of = _release(release, namespace, current=current, address=address, health_address=health_address)
    kube = _kube(namespace)

    async def work(admin: Admin) -> list[Row]:
        return await cluster.register(
            kube, admin, of, of.current, timeout, dry_run=dry_run, breaking=breaking, take_over=take_over
        )

    rows = _with_admin(admin_url, admin_token, timeout, work)
    table = [{name: str(getattr(row, name)) for name in row.__struct_fields__} for row in rows]
    if as_json:
        print(json.dumps({"services": table, "dry_run": dry_run}, indent=2))
        return
    for row in table:
        print(f"{row['service']:<10} {row['status']:<10} {row['address']}")


@app.command()
def prune(  # noqa: PLR0913, PLR0917 - the options of a command
    release: Release,
    namespace: Namespace,
    fullname: Fullname,
    current: Current,
    admin_url: AdminUrl,
    admin_token: AdminToken = "",
    address: Address = ADDRESS,
    health_address: HealthAddress = ADDRESS,
    keep_seconds: Annotated[
        float, typer.Option("--keep-seconds", min=0, help="How long a drained version is kept.")
    ] = 300,
) -> None:
    """Remove drained versions; register what serves nothing at all, as after a Restate that lost its data."""
    from services.registrar import cluster

    of = _release(release, namespace, fullname, current, address, health_address)
    kube = _kube(namespace)

    async def work(admin: Admin) -> None:
        await cluster.prune(kube, admin, of, keep_seconds, print)

    _with_admin(admin_url, admin_token, 20, work)


@app.command()
def before_rollback(release: Release, namespace: Namespace, fullname: Fullname, current: Current) -> None:
    """Let go of kept objects that `helm rollback` would trip over; their pods go on running."""
    from services.registrar import cluster

    cluster.before_rollback(_kube(namespace), _release(release, namespace, fullname, current), print)


@app.command()
def remove_endpoints(
    release: Release,
    namespace: Namespace,
    fullname: Fullname,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for pods to end.")] = 60,
) -> None:
    """Remove every version of the release's endpoints, as before `helm uninstall`."""
    from services.registrar import cluster

    cluster.remove_endpoints(_kube(namespace), _release(release, namespace, fullname), print, timeout)


@app.command()
def make_keys(
    release: Release,
    namespace: Namespace,
    fullname: Fullname,
    identity_secret: Annotated[str, typer.Option("--identity-secret", help="Empty: Restate is not ours.")] = "",
    keys_secret: Annotated[str, typer.Option("--keys-secret", help="Default: FULLNAME-keys.")] = "",
    trial_secret: Annotated[str, typer.Option("--trial-secret", help="Empty: sign-in is the user's own.")] = "",
    check_only: Annotated[
        str, typer.Option("--check-only", metavar="identity,keys", help="Those Secrets are the user's.")
    ] = "",
    require: Annotated[
        list[str] | None,
        typer.Option("--require", metavar="[VALUE=]SECRET:KEY,...", help="Secrets that must hold these keys."),
    ] = None,
) -> None:
    """Make the keys that are missing; change none, and refuse what cannot be used."""
    from services.cli import clusterkeys

    wanted = clusterkeys.wanted(fullname, identity_secret, keys_secret, trial_secret, check_only)
    required = [clusterkeys.parse_requirement(text) for text in require or []]
    clusterkeys.make(_kube(namespace), release, wanted, required, print)


@app.command()
def rotate_identity(
    release: Release,
    namespace: Namespace,
    fullname: Fullname,
    identity_secret: Annotated[str, typer.Option("--identity-secret", help="Default: FULLNAME-identity.")] = "",
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds for each step.")] = 600,
) -> None:
    """Give Restate a new identity key without a refused call; after an interruption, run it again."""
    from services.cli import rotation

    rotation.rotate(
        _kube(namespace), release, identity_secret or f"{fullname}-identity", f"{fullname}-restate", timeout, _say
    )


@app.command()
def run(
    command: Annotated[str, typer.Argument(help="register or rotate-identity.")],
    namespace: Namespace,
    release: Release = "nexus",
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds until the Job has started.")] = 120,
) -> None:
    """Run register or rotate-identity in the cluster, from outside; ends with the Job's exit code."""
    from services.registrar import jobs

    raise SystemExit(jobs.run(_kube(namespace), release, command, timeout, _say))


def _say(line: str) -> None:
    print(line, flush=True)


def _kube(namespace: str) -> Kube:
    from services.registrar.kube import Kube

    return Kube(namespace)


def _release(
    name: str,
    namespace: str,
    fullname: str = "",
    current: str = "",
    address: str = ADDRESS,
    health_address: str = ADDRESS,
) -> Any:
    from services.registrar import cluster
    from services.registrar.versions import parse_current

    versions = parse_current(current) if current else frozenset()
    return cluster.Release(name, namespace, fullname, versions, address, health_address)


def _with_admin(url: str, token: str, seconds: float, work: Callable[[Admin], Awaitable[Any]]) -> Any:
    from services.registrar.admin import Admin

    async def open_and_work() -> Any:
        async with Admin(url, seconds, token) as admin:
            return await work(admin)

    return asyncio.run(open_and_work())
