"""What the registrar does in a cluster: register what a release has, remove what is drained, clear the way.

The decisions are in versions.py; here they meet Kubernetes and Restate. Calls of the Kubernetes API block: nothing
else runs in these processes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from services.registrar.admin import Admin
from services.registrar.errors import ClusterError, RegistrationError
from services.registrar.health import EndpointAt
from services.registrar.kube import ENDPOINT, INSTANCE, VERSION, EndpointService, Kube, Part, presents
from services.registrar.pods import explain
from services.registrar.registration import Registrar, Row, check_restate, is_ours
from services.registrar.versions import (
    Registered,
    Version,
    not_serving,
    parse_current,
    plan_prune,
    plan_rollback,
    write_current,
)

ADDRESS: Final = "http://{service}.{namespace}.svc:{port}"
POLL_SECONDS: Final = 1.0
GONE_SECONDS: Final = 60.0
LEAST_SECONDS: Final = 1.0
REPAIR_SECONDS: Final = 20.0
"""prune comes every minute: what does not answer by then is tried again."""

Say = Callable[[str], None]


class Release(msgspec.Struct, frozen=True):
    """A Helm release, and how its endpoints are addressed.

    `current`: the versions that its manifest names. `address`: what Restate is told of a Service, `health_address`
    where the registrar asks it; both may name {service}, {namespace}, {port}, {cluster_ip}.
    """

    name: str
    namespace: str
    fullname: str = ""
    current: frozenset[Version] = frozenset()
    address: str = ADDRESS
    health_address: str = ADDRESS

    @property
    def owner(self) -> str:
        """Whose deployments these are, in Restate's metadata."""
        return f"{self.namespace}/{self.name}"

    @property
    def config_map(self) -> str:
        """The ConfigMap in which a beginning upgrade says what will be current."""
        return f"{self.fullname}-current"


async def register(
    kube: Kube,
    admin: Admin,
    release: Release,
    wanted: Collection[Version],
    seconds: float,
    *,
    dry_run: bool = False,
    breaking: bool = False,
    take_over: bool = False,
) -> list[Row]:
    """Register versions of the release once they answer through their Services: all, or none.

    Raises RegistrationError: for what does not answer within `seconds` with the state of its pods.
    """
    deadline = time.monotonic() + seconds
    # A pattern that is wrong is told before anything is waited for.
    _addresses(release, "service", 0, "")
    # Also waits for a Restate that is just starting, so that all the waiting together has one end.
    check_restate(await admin.version())
    endpoints = await _find(kube, release, wanted, deadline)
    digests = {item.endpoint: item.digest for item in wanted}

    def why(endpoint: str) -> str:
        selector = f"{INSTANCE}={release.name},{ENDPOINT}={endpoint},{VERSION}={digests[endpoint]}"
        told = explain(
            kube.pods(selector),
            lambda pod, container, previous: kube.last_log_line(pod, container, previous=previous),
        )
        return f": {told}" if told else ""

    registrar = Registrar(admin, dry_run=dry_run, breaking=breaking, release=release.owner, take_over=take_over)
    return await registrar.register(endpoints, max(deadline - time.monotonic(), LEAST_SECONDS), why)


async def prune(kube: Kube, admin: Admin, release: Release, keep_seconds: float, say: Say) -> None:
    """Remove drained versions, and register what serves nothing at all. Repeating it changes nothing more."""
    # Asked in this order: what appears in between is then used by Restate, or not known to it, never drained.
    parts = kube.parts(release.name, with_replica_sets=True)
    registered, latest = await _registered(admin, release)
    missing = not_serving(release.current, registered, latest)
    if missing:
        # The first install with `helm --wait`, whose hook comes too late, or a Restate that has lost its data.
        for row in await register(kube, admin, release, missing, REPAIR_SECONDS):
            say(f"registered {row.service} at {row.address}: nothing served it")
        registered, latest = await _registered(admin, release)
    current = set(release.current) | set(_announced(kube, release) or ())
    plan = plan_prune(presents(parts), registered, current, time.time(), keep_seconds)
    for part in _deployments(parts, plan.unmark):
        kube.mark(part, None)
    for part in _deployments(parts, plan.mark):
        kube.mark(part, time.time())
        say(f"{part.version} is drained; it goes in {keep_seconds:.0f} s")
    for item in plan.deregister:
        await admin.remove(item.deployment_id)
        say(f"deregistered {item.uri}: drained")
    for part in _ordered(parts, plan.remove):
        if not kube.delete(part, only_unchanged=True):
            say(f"{part.kind} {part.name} has just changed: left for the next run")
            break
        say(f"removed {part.kind} {part.name}")


def before_rollback(kube: Kube, release: Release, say: Say, seconds: float = GONE_SECONDS) -> None:
    """Delete what Helm will create again and could not if it were still there; pods go on running meanwhile.

    Raises ClusterError where something is still there after `seconds`.
    """
    parts = kube.parts(release.name, with_replica_sets=False)
    announced = _announced(kube, release)
    chosen = plan_rollback([part.version for part in parts], release.current, announced)
    doomed = [part for part in parts if part.version in chosen]
    for part in doomed:
        # Orphan: the ReplicaSet stays, and the Deployment that Helm creates next adopts it.
        kube.delete(part, orphan=True)
        say(f"gave {part.kind} {part.name} free for Helm to create again")
    if not doomed:
        say("nothing stands in Helm's way")
    _wait_gone(lambda: kube.parts(release.name, with_replica_sets=False), doomed, seconds)
    if announced is not None:
        # From now on these are what Helm believes in, also where this rollback fails later on.
        kube.patch_config_map(release.config_map, {"current": write_current(release.current)})


def remove_endpoints(kube: Kube, release: Release, say: Say, seconds: float = GONE_SECONDS) -> None:
    """Remove every version of the release's endpoints and wait until their pods have ended.

    Raises ClusterError where something is still there after `seconds`.
    """
    parts = kube.parts(release.name, with_replica_sets=True)
    for part in _ordered(parts, {part.version for part in parts}):
        kube.delete(part)
        say(f"removed {part.kind} {part.name}")
    kube.delete_config_map(release.config_map)
    # A hook that failed stays for an hour, and Helm does not count it as its own.
    for name in kube.delete_finished_jobs(release.name):
        say(f"removed Job {name}")
    for name in kube.delete_finished_tests(release.name):
        say(f"removed Pod {name} of helm test")
    _wait_gone(lambda: kube.parts(release.name, with_replica_sets=True), parts, seconds)
    deadline = time.monotonic() + seconds
    while left := kube.pods(f"{INSTANCE}={release.name},{ENDPOINT}"):
        if time.monotonic() > deadline:
            names = ", ".join(pod.metadata.name for pod in left)
            raise ClusterError(f"after {seconds:.0f} s there are still pods of removed endpoints: {names}")
        time.sleep(POLL_SECONDS)


async def _find(kube: Kube, release: Release, wanted: Collection[Version], deadline: float) -> list[EndpointAt]:
    while True:
        found = {service.version: service for service in kube.services(release.name)}
        missing = sorted(set(wanted) - set(found))
        if not missing:
            return [_endpoint(release, found[version]) for version in sorted(wanted)]
        if time.monotonic() > deadline:
            raise RegistrationError(
                f"release {release.name} has no Service of {', '.join(map(str, missing))} in namespace "
                f"{release.namespace}, also not after waiting"
            )
        await asyncio.sleep(POLL_SECONDS)


def _endpoint(release: Release, service: EndpointService) -> EndpointAt:
    url, health_url = _addresses(release, service.name, service.port, service.cluster_ip)
    return EndpointAt(service.version.endpoint, url, None, health_url, service.version.digest)


def _addresses(release: Release, service: str, port: int, cluster_ip: str) -> tuple[str, str]:
    """Fill the release's patterns: what Restate is told, and where we ask. Raises RegistrationError."""
    known = {"service": service, "namespace": release.namespace, "port": port, "cluster_ip": cluster_ip}
    try:
        return release.address.format(**known), release.health_address.format(**known)
    except (KeyError, ValueError, IndexError):
        raise RegistrationError(f"--address: expected a URL with {{{'}, {'.join(known)}}} in it") from None


async def _registered(admin: Admin, release: Release) -> tuple[list[Registered], set[str]]:
    """Give the release's deployments, and the ids of all that new calls go to."""
    ours = [item for item in await admin.deployments() if is_ours(item, release.owner)]
    in_use = await admin.in_use()
    registered = [
        Registered(
            item.deployment_id,
            item.uri,
            Version(item.metadata.get("endpoint", ""), item.metadata.get("endpoint_version", "")),
            item.deployment_id in in_use,
        )
        for item in ours
    ]
    return registered, set((await admin.latest()).values())


def _announced(kube: Kube, release: Release) -> frozenset[Version] | None:
    """Give what the last upgrade or rollback that began is to make current; None where it did not say."""
    held = kube.config_map(release.config_map) if release.fullname else None
    return parse_current(held["current"]) if held and held.get("current") else None


def _deployments(parts: Sequence[Part], versions: Collection[Version]) -> list[Part]:
    return [part for part in parts if part.kind == "Deployment" and part.version in versions]


def _ordered(parts: Sequence[Part], versions: Collection[Version]) -> list[Part]:
    """Give all that versions consist of; the Service last, so that an interrupted run finds the rest again."""
    kinds = ("Deployment", "ReplicaSet", "Service")
    chosen = [part for part in parts if part.version in versions]
    return sorted(chosen, key=lambda part: (part.version, kinds.index(part.kind)))


def _wait_gone(listing: Callable[[], list[Part]], doomed: Sequence[Part], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    uids = {part.uid for part in doomed}
    while left := [part for part in listing() if part.uid in uids]:
        if time.monotonic() > deadline:
            names = ", ".join(f"{part.kind} {part.name}" for part in left)
            raise ClusterError(f"still there after {seconds:.0f} s: {names}")
        time.sleep(POLL_SECONDS)
