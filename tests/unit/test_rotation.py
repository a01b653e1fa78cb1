"""A new identity key: no endpoint ever refuses what Restate signs, wherever the rotation is interrupted."""

from __future__ import annotations

import base64
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from services.cli import keys, rotation
from services.cli.errors import StackError
from services.cli.rotation import ACCEPTED, NEXT, PRIVATE, SWITCHED_AT, Step, next_step
from services.registrar.errors import ClusterError

OLD, NEW = keys.new_pem(), keys.new_pem()
OLD_PUBLIC, NEW_PUBLIC = keys.identity_of(OLD), keys.identity_of(NEW)


class InterruptedHereError(Exception):
    """The Job's pod is gone."""


class World:
    """A Secret, endpoints and Restate with the keys that they have loaded, and a clock; each call is a moment."""

    def __init__(self) -> None:
        self.data: dict[str, str] = {PRIVATE: OLD, ACCEPTED: OLD_PUBLIC}
        self.annotations: dict[str, str] = {}
        self.resource_version = 1
        self.accepted = {"ticket": [OLD_PUBLIC], "seatmap": [OLD_PUBLIC]}
        self.signs = OLD
        self.signed_until: dict[str, float] = {}
        self.template: dict[str, str] = {}
        self.pod_annotations: dict[str, str] = {}
        self.now = 1_000_000.0
        self.calls = 0
        self.interrupt_at: int | None = None
        self.restarts = 0
        self.namespace = "n"
        self.core = SimpleNamespace(
            read_namespaced_secret="read secret",
            patch_namespaced_secret="patch secret",
            patch_namespaced_pod="patch pod",
        )
        self.apps = SimpleNamespace(read_namespaced_stateful_set="read set", patch_namespaced_stateful_set="patch set")

    def call(self, what: str, method: str, *args: Any, **options: Any) -> Any:
        self.moment()
        if method == "patch secret":
            self.patch(args[-1])
        if method == "patch set":
            self.template |= args[-1]["spec"]["template"]["metadata"]["annotations"]
        if method in ("read set", "patch set"):
            template = SimpleNamespace(metadata=SimpleNamespace(annotations=self.template))
            return SimpleNamespace(spec=SimpleNamespace(replicas=1, template=template))
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in self.data.items()}
        meta = SimpleNamespace(annotations=dict(self.annotations), resource_version=str(self.resource_version))
        return SimpleNamespace(data=encoded, metadata=meta)

    def patch(self, body: Any) -> None:
        if body["metadata"]["resourceVersion"] != str(self.resource_version):
            raise ClusterError("somebody else changed it", 409)
        self.resource_version += 1
        for name, encoded in body["data"].items():
            if encoded is None:
                self.data.pop(name, None)
            else:
                self.data[name] = base64.b64decode(encoded).decode()
        for name, text in body["metadata"]["annotations"].items():
            if text is None:
                self.annotations.pop(name, None)
            else:
                self.annotations[name] = text

    def pods(self, selector: str) -> list[Any]:
        self.moment()
        if "restate" not in selector:
            return []
        if self.template != self.pod_annotations:
            # The StatefulSet makes the pod anew, which reads the Secret as it is.
            self.pod_annotations, self.signs = dict(self.template), self.data[PRIVATE]
            self.restarts += 1
        ready = SimpleNamespace(type="Ready", status="True")
        meta = SimpleNamespace(name="restate-0", annotations=self.pod_annotations, deletion_timestamp=None)
        return [SimpleNamespace(metadata=meta, status=SimpleNamespace(conditions=[ready]))]

    def log_head(self, pod: str, most_bytes: int) -> str:
        return f'kid: "{keys.identity_of(self.signs)}"'

    async def wrong_endpoints(self, pods: list[Any], is_right: Callable[[list[str]], bool]) -> str:
        self.moment()
        answer = "; ".join(name for name, accepted in self.accepted.items() if not is_right(accepted))
        for name, accepted in self.accepted.items():
            if accepted != rotation.accepted_keys(self.data):
                # One kubelet after the other comes to look at the Secret.
                self.accepted[name] = rotation.accepted_keys(self.data)
                break
        return answer

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def moment(self) -> None:
        """Check what must always hold, and interrupt where the test says so."""
        self.signed_until[keys.identity_of(self.signs)] = self.now + rotation.TOKEN_SECONDS
        alive = {key for key, until in self.signed_until.items() if until > self.now}
        for accepted in self.accepted.values():
            assert alive <= set(accepted), "an endpoint would refuse a call"
        self.calls += 1
        if self.calls == self.interrupt_at:
            raise InterruptedHereError


def install(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(rotation, "_wrong_endpoints", made.wrong_endpoints)
    monkeypatch.setattr(rotation.time, "sleep", made.sleep)
    monkeypatch.setattr(rotation.time, "time", lambda: made.now)
    monkeypatch.setattr(rotation.keys, "new_pem", lambda: NEW)
    return made


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return install(monkeypatch)


def rotate(world: Any) -> None:
    rotation.rotate(world, "r", "secret", "restate", 60, lambda _: None)


def test_a_rotation_ends_with_the_new_key_alone(world: World) -> None:
    """Restate signs with it, endpoints accept nothing else, and nothing is left of the rotation."""
    rotate(world)
    assert world.data == {PRIVATE: NEW, ACCEPTED: NEW_PUBLIC}
    assert world.annotations == {}
    assert (world.signs, world.restarts) == (NEW, 1)
    assert set(map(tuple, world.accepted.values())) == {(NEW_PUBLIC,)}


def test_an_interrupted_rotation_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """At every call in turn: Restate restarts once, and no call is ever refused."""
    whole = install(monkeypatch)
    rotate(whole)
    assert whole.calls > 15
    for place in range(1, whole.calls + 1):
        world = install(monkeypatch)
        world.interrupt_at = place
        with pytest.raises(InterruptedHereError):
            rotate(world)
        rotate(world)
        assert world.data == {PRIVATE: NEW, ACCEPTED: NEW_PUBLIC}, place
        assert world.restarts == 1, place
        assert set(map(tuple, world.accepted.values())) == {(NEW_PUBLIC,)}, place


def test_the_secret_tells_the_step() -> None:
    """Each state that a patch leaves behind has one next step."""
    both = f"{OLD_PUBLIC},{NEW_PUBLIC}"
    assert next_step({PRIVATE: OLD, ACCEPTED: OLD_PUBLIC}, {}) is Step.BEGIN
    assert next_step({PRIVATE: OLD, ACCEPTED: OLD_PUBLIC, NEXT: NEW}, {}) is Step.BEGIN
    assert next_step({PRIVATE: OLD, ACCEPTED: both, NEXT: NEW}, {}) is Step.SWITCH
    assert next_step({PRIVATE: NEW, ACCEPTED: both, NEXT: NEW}, {}) is Step.RESTART
    assert next_step({PRIVATE: NEW, ACCEPTED: both, NEXT: NEW}, {SWITCHED_AT: "1"}) is Step.DROP
    assert next_step({PRIVATE: NEW, ACCEPTED: NEW_PUBLIC, NEXT: NEW}, {SWITCHED_AT: "1"}) is Step.FINISH


def test_a_secret_that_cannot_be_rotated_is_refused(world: World) -> None:
    """Before anything is changed, in a sentence that names the Secret."""
    world.data[ACCEPTED] = NEW_PUBLIC
    with pytest.raises(StackError, match="Secret secret: identity-keys does not hold"):
        rotate(world)
    world.data[PRIVATE] = "x"
    with pytest.raises(StackError, match=r"Secret secret: identity\.pem: expected an Ed25519"):
        rotate(world)
    assert world.resource_version == 1


def test_an_endpoint_that_never_accepts_the_key_stops_the_rotation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old key goes on signing, and the sentence names the pod."""

    async def stuck(pods: list[Any], is_right: Callable[[list[str]], bool]) -> str:
        return "ticket-1 does not yet"

    monkeypatch.setattr(rotation, "_wrong_endpoints", stuck)
    monkeypatch.setattr(rotation.time, "monotonic", lambda: world.now)
    with pytest.raises(StackError, match=r"waited 60 s for .*ticket-1 does not yet; nothing is lost"):
        rotate(world)
    assert world.data[PRIVATE] == OLD
    assert world.signs == OLD
