"""What the hooks of a release do to its objects, and what is said of pods that do not serve."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.registrar import cluster
from services.registrar.errors import ClusterError, RegistrationError
from services.registrar.kube import Part, presents
from services.registrar.pods import explain
from services.registrar.versions import Version

OLD, NEW, SAME = Version("ticket", "old"), Version("ticket", "new"), Version("seatmap", "same")


class FakeKube:
    """Objects that go as they are deleted, or do not."""

    def __init__(self, *versions: Version) -> None:
        self.there = [
            Part(kind, f"{kind}-{version}", f"{kind}-{version}-uid", "1", version, 0.0)
            for version in versions
            for kind in ("Service", "Deployment")
        ]
        self.maps: dict[str, dict[str, str]] = {}
        self.deleted: list[tuple[str, bool]] = []
        self.is_stuck = False
        self.running: list[Any] = []

    def parts(self, release: str, *, with_replica_sets: bool) -> list[Part]:
        return list(self.there)

    def delete(self, part: Part, *, orphan: bool = False) -> bool:
        self.deleted.append((part.name, orphan))
        if not self.is_stuck:
            self.there.remove(part)
        return True

    def config_map(self, name: str) -> dict[str, str] | None:
        return self.maps.get(name)

    def patch_config_map(self, name: str, data: dict[str, str]) -> None:
        self.maps[name] |= data

    def delete_config_map(self, name: str) -> None:
        self.maps.pop(name, None)

    def delete_finished_jobs(self, release: str) -> list[str]:
        return []

    def delete_finished_tests(self, release: str) -> list[str]:
        return []

    def pods(self, selector: str) -> list[Any]:
        return self.running


def release(*current: Version) -> cluster.Release:
    return cluster.Release("main", "space", "main-nexus", frozenset(current))


def before_rollback(kube: Any, *current: Version, seconds: float = 5) -> None:
    cluster.before_rollback(kube, release(*current), lambda _: None, seconds)


def test_a_rollback_frees_what_helm_will_create_and_writes_down_what_is_current_then() -> None:
    """Pods go on: everything is orphaned. What is unchanged is not touched."""
    kube = FakeKube(OLD, NEW, SAME)
    kube.maps["main-nexus-current"] = {"current": "ticket=new,seatmap=same"}
    before_rollback(kube, OLD, SAME)
    assert kube.deleted == [("Service-ticket=old", True), ("Deployment-ticket=old", True)]
    assert kube.maps["main-nexus-current"]["current"] == "seatmap=same,ticket=old"


def test_without_the_note_everything_that_is_wanted_is_freed() -> None:
    """Helm creates it again in any case; the other way round it would stop."""
    kube = FakeKube(OLD, NEW, SAME)
    before_rollback(kube, OLD, SAME)
    assert {part.version for part in kube.there} == {NEW}
    assert kube.maps == {}


def test_what_does_not_go_away_stops_the_rollback() -> None:
    """Before Helm would stop half-way: the sentence names the objects."""
    kube = FakeKube(OLD)
    kube.is_stuck = True
    with pytest.raises(ClusterError, match=r"still there after 0 s: Service Service-ticket=old, Deployment"):
        before_rollback(kube, OLD, seconds=0)


def test_a_note_that_cannot_be_read_is_refused() -> None:
    """Rather than guessing what Helm believes."""
    kube = FakeKube(OLD)
    kube.maps["main-nexus-current"] = {"current": "?"}
    with pytest.raises(RegistrationError):
        before_rollback(kube, OLD)


def test_an_uninstall_removes_every_version() -> None:
    """Deployments before their Services, nothing orphaned, and the note goes too; pods that stay are named."""
    kube: Any = FakeKube(OLD, NEW)
    kube.maps["main-nexus-current"] = {"current": "ticket=new"}
    cluster.remove_endpoints(kube, release(), lambda _: None, 1)
    assert (kube.there, kube.maps) == ([], {})
    assert [name.split("-")[0] for name, _ in kube.deleted] == ["Deployment", "Service"] * 2
    assert not any(orphan for _, orphan in kube.deleted)
    kube.running = [SimpleNamespace(metadata=SimpleNamespace(name="ticket-1"))]
    with pytest.raises(ClusterError, match="after 0 s there are still pods of removed endpoints: ticket-1"):
        cluster.remove_endpoints(kube, release(), lambda _: None, 0)


def test_the_parts_of_a_version_are_seen_as_one() -> None:
    """It is as old as its youngest part, drained since its Deployment was; a lone Service has no Deployment."""
    found = presents(
        [
            Part("Deployment", "d", "1", "1", OLD, 5.0, 7.0),
            Part("Service", "s", "2", "1", OLD, 6.0),
            Part("Service", "s", "3", "1", NEW, 6.0),
        ]
    )
    assert [(item.version, item.created_at, item.drained_at, item.has_deployment) for item in found] == [
        (NEW, 6.0, None, False),
        (OLD, 6.0, 7.0, True),
    ]


def pod(*states: Any, phase: str = "Pending", conditions: tuple[Any, ...] = (), deleted: str | None = None) -> Any:
    containers = [SimpleNamespace(name="main", state=state) for state in states]
    status = SimpleNamespace(
        container_statuses=containers, init_container_statuses=None, phase=phase, conditions=conditions
    )
    return SimpleNamespace(metadata=SimpleNamespace(name="p", deletion_timestamp=deleted), status=status)


def waiting(reason: str, message: str = "") -> Any:
    return SimpleNamespace(waiting=SimpleNamespace(reason=reason, message=message), terminated=None)


def ended(code: int) -> Any:
    return SimpleNamespace(waiting=None, terminated=SimpleNamespace(exit_code=code))


def condition(kind: str, status: str, message: str = "") -> Any:
    return SimpleNamespace(type=kind, status=status, message=message, reason="Why")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (pod(waiting("ImagePullBackOff", "no such image")), "pod p: ImagePullBackOff: no such image"),
        (pod(waiting("CrashLoopBackOff", "back-off 10s")), "pod p: CrashLoopBackOff: nexus: cannot start (before)"),
        (pod(waiting("CreateContainerConfigError", "no secret x")), "pod p: CreateContainerConfigError: no secret x"),
        (pod(ended(2)), "pod p: ended with code 2: nexus: cannot start (now)"),
        (pod(conditions=(condition("PodScheduled", "False", "no cpu"),)), "pod p cannot be placed: no cpu"),
        (pod(waiting("ContainerCreating")), "pod p is Pending and not ready"),
        (pod(deleted="now"), "pod p is being stopped"),
        (pod(phase="Running", conditions=(condition("Ready", "True"),)), ""),
    ],
)
def test_a_pod_that_does_not_serve_says_why(found: Any, said: str) -> None:
    """In the words that lead to the cause; a process that ended, with its own last line."""

    def last_line(name: str, container: str, previous: bool) -> str:
        return f"nexus: cannot start ({'before' if previous else 'now'})"

    assert explain([found], last_line) == said


def test_no_pod_at_all_is_said_too() -> None:
    """As where a quota refuses it."""
    assert explain([], lambda *_: "") == "there is no pod"
