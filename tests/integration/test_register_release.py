"""Registration in a cluster: a release's own versions, beside other releases at the same Restate.

Kubernetes is a stand-in here, Restate and the endpoint are real; tests/e2e has the whole of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.common import code
from services.registrar import cluster
from services.registrar.admin import Admin
from services.registrar.errors import AdminError, RegistrationError
from services.registrar.health import EndpointAt
from services.registrar.kube import EndpointService, Part
from services.registrar.registration import Registrar, Row, Status
from services.registrar.versions import Version
from tests.integration.modes import normal_mode_only
from tests.integration.scratch import ScratchStack, until

pytestmark = normal_mode_only("the registrar")

ONE, TWO = Version("scratch", "one"), Version("scratch", "two")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[ScratchStack]:
    made = ScratchStack(tmp_path)
    try:
        made.stack.start("restate")
        made.stack.wait_ready("restate")
        made.start()
        yield made
    finally:
        made.stack.stop_all()


class FakeKube:
    """A namespace that holds versions of the endpoint, all served by the same process."""

    def __init__(self, scratch: ScratchStack, *versions: Version) -> None:
        self.port = int(scratch.url.rpartition(":")[2])
        self.there = {
            version: Part("Deployment", str(version), str(version), "1", version, 0.0) for version in versions
        }
        self.maps: dict[str, dict[str, str]] = {}

    def services(self, release: str) -> list[EndpointService]:
        return [EndpointService(f"s-{version.digest}", version, "127.0.0.1", self.port) for version in self.there]

    def parts(self, release: str, *, with_replica_sets: bool) -> list[Part]:
        return list(self.there.values())

    def mark(self, part: Part, drained_at: float | None) -> None:
        self.there[part.version] = Part(part.kind, part.name, part.uid, "2", part.version, 0.0, drained_at)

    def delete(self, part: Part, *, only_unchanged: bool = False) -> bool:
        assert only_unchanged
        del self.there[part.version]
        return True

    def config_map(self, name: str) -> dict[str, str] | None:
        return self.maps.get(name)

    def pods(self, selector: str) -> list[Any]:
        return []


def release(scratch: ScratchStack, *current: Version, name: str = "main") -> cluster.Release:
    """Two Services are two paths of one process here."""
    address = scratch.url + "/{service}"
    return cluster.Release(name, "space", f"{name}-nexus", frozenset(current), address, scratch.url)


@asynccontextmanager
async def admin_of(scratch: ScratchStack) -> AsyncIterator[Admin]:
    async with Admin(scratch.stack.admin_url, 10) as admin:
        yield admin


async def register(scratch: ScratchStack, kube: Any, of: cluster.Release, **options: Any) -> list[Row]:
    async with admin_of(scratch) as admin:
        return await cluster.register(kube, admin, of, of.current, 10, **options)


async def prune(scratch: ScratchStack, kube: Any, of: cluster.Release, keep_seconds: float = 0) -> list[str]:
    said: list[str] = []
    async with admin_of(scratch) as admin:
        await cluster.prune(kube, admin, of, keep_seconds, said.append)
    return said


async def uris(scratch: ScratchStack) -> set[str]:
    async with admin_of(scratch) as admin:
        return {item.uri for item in await admin.deployments()}


async def test_an_upgrade_drains_and_a_rollback_promotes(scratch: ScratchStack) -> None:
    """The version in flight stays until it is done and its delay has passed; going back gives a new address."""
    kube = FakeKube(scratch, ONE)
    [first] = await register(scratch, kube, release(scratch, ONE))
    answer = asyncio.create_task(scratch.call("wait", 3.0))
    await until(lambda: scratch.trace() == ["waits"])

    kube.there |= FakeKube(scratch, TWO).there
    [second] = await register(scratch, kube, release(scratch, TWO))
    assert (first.status, second.status) == (Status.NEW, Status.NEW)
    assert await prune(scratch, kube, release(scratch, TWO)) == []
    await answer
    assert await prune(scratch, kube, release(scratch, TWO), 300) == ["scratch=one is drained; it goes in 300 s"]
    assert await prune(scratch, kube, release(scratch, TWO), 300) == []

    [back] = await register(scratch, kube, release(scratch, ONE))
    assert (back.status, back.address) == (Status.PROMOTED, f"{first.address}-2")
    await prune(scratch, kube, release(scratch, ONE))
    assert kube.there[ONE].drained_at is None
    await prune(scratch, kube, release(scratch, ONE))
    assert set(kube.there) == {ONE}
    assert await uris(scratch) == {back.address}
    assert await scratch.call("version") == "one"


async def test_what_a_beginning_upgrade_will_use_is_not_removed(scratch: ScratchStack) -> None:
    """An upgrade back to a drained version says so before Helm looks whether it is there."""
    kube = FakeKube(scratch, ONE, TWO)
    await register(scratch, kube, release(scratch, ONE))
    await register(scratch, kube, release(scratch, TWO))
    await prune(scratch, kube, release(scratch, TWO))
    assert kube.there[ONE].drained_at is not None
    kube.maps["main-nexus-current"] = {"current": "scratch=one"}
    await prune(scratch, kube, release(scratch, TWO))
    assert set(kube.there) == {ONE, TWO}
    assert len(await uris(scratch)) == 2


async def test_prune_registers_what_serves_nothing(scratch: ScratchStack) -> None:
    """A Restate that lost its data; but never an upgrade that was refused while the old version serves."""
    kube = FakeKube(scratch, ONE)
    assert [line.split(" at ")[0] for line in await prune(scratch, kube, release(scratch, ONE))] == [
        "registered Scratch"
    ]
    assert await scratch.call("version") == "one"
    before = await uris(scratch)
    kube.there |= FakeKube(scratch, TWO).there
    await prune(scratch, kube, release(scratch, TWO))
    assert await uris(scratch) == before


async def test_a_service_of_another_release_is_not_taken(scratch: ScratchStack) -> None:
    """Refused in one sentence that names its owner; --take-over takes it; neither prunes the other's."""
    mine, theirs = release(scratch, ONE), release(scratch, TWO, name="theirs")
    kube = FakeKube(scratch, ONE, TWO)
    await register(scratch, kube, mine)
    for options in ({}, {"dry_run": True}):
        with pytest.raises(RegistrationError, match=r"Scratch is served by space/main at .*--take-over"):
            await register(scratch, kube, theirs, **options)
    assert len(await uris(scratch)) == 1
    [taken] = await register(scratch, kube, theirs, take_over=True)
    assert taken.status is Status.NEW
    await prune(scratch, FakeKube(scratch, TWO), theirs)
    assert len(await uris(scratch)) == 2


async def test_a_laptop_does_not_take_the_service_of_a_release(scratch: ScratchStack) -> None:
    """`nexus register` with the cluster's admin address by mistake is refused."""
    await register(scratch, FakeKube(scratch, ONE), release(scratch, ONE))
    with pytest.raises(RegistrationError, match="Scratch is served by space/main"):
        await scratch.register()


async def answering(answer: Callable[[web.Request], web.Response]) -> web.AppRunner:
    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


def url_of(runner: web.AppRunner) -> str:
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_nothing_is_registered_where_one_would_be_refused(scratch: ScratchStack) -> None:
    """The second endpoint answers its health but is no endpoint: the first is not registered either."""
    broken = await answering(lambda _: web.Response(headers={code.HEADER: "abc"}))
    try:
        async with Admin(scratch.stack.admin_url, 1) as admin:
            with pytest.raises(AdminError):
                await Registrar(admin).register([scratch.endpoint(), EndpointAt("broken", url_of(broken))], 5)
            assert await admin.deployments() == []
    finally:
        await broken.cleanup()


async def test_every_endpoint_that_does_not_answer_is_named_with_its_pods(scratch: ScratchStack) -> None:
    """Within the timeout, and with what Kubernetes knows of it."""
    await asyncio.to_thread(scratch.stack.stop, "ticket")
    kube, of = FakeKube(scratch, ONE), release(scratch, ONE)
    begun = time.monotonic()
    async with admin_of(scratch) as admin:
        with pytest.raises(RegistrationError, match=r"scratch: .* did not answer within 1 s .*: there is no pod"):
            await cluster.register(kube, admin, of, of.current, 1)
        with pytest.raises(RegistrationError, match="release main has no Service of scratch=two in namespace space"):
            await cluster.register(kube, admin, of, {TWO}, 1)
    assert time.monotonic() - begun < 15


async def test_the_admin_token_is_sent_and_an_old_restate_refused() -> None:
    """As Bearer; a refusal of the token is Restate's own sentence."""
    seen: list[str] = []

    def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("authorization", ""))
        return web.json_response({"version": "1.7.3"}) if seen[-1] else web.Response(status=401, text="no token")

    restate = await answering(answer)
    try:
        async with Admin(url_of(restate), 1, "t0ken") as admin:
            with pytest.raises(RegistrationError, match=r"1\.7\.3; Nexus needs 1\.7\.4"):
                await Registrar(admin).register([])
        assert seen == ["Bearer t0ken"]
        async with Admin(url_of(restate), 1) as admin:
            with pytest.raises(AdminError, match="no token"):
                await admin.version()
    finally:
        await restate.cleanup()


@pytest.mark.parametrize("pattern", ["http://{nothing}", "http://{", "http://{0}"])
async def test_a_wrong_address_pattern_is_refused(pattern: str, tmp_path: Path) -> None:
    """In one sentence that names the option."""
    kube = FakeKube(ScratchStack(tmp_path), ONE)
    of = cluster.Release("main", "space", "", frozenset({ONE}), pattern)
    with pytest.raises(RegistrationError, match="--address"):
        await cluster.register(kube, Admin("http://127.0.0.1:1", 1), of, of.current, 1)
