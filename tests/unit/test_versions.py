"""Which versions of the endpoints go and which stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registrar.errors import RegistrationError
from services.registrar.registration import check_restate
from services.registrar.versions import (
    NEVER_REGISTERED_SECONDS,
    Present,
    Pruning,
    Registered,
    Version,
    not_serving,
    parse_current,
    plan_prune,
    plan_rollback,
    write_current,
)

NOW = 1_000_000.0
KEEP = 300.0
OLD, NEW = Version("ticket", "aaa"), Version("ticket", "bbb")

versions = st.builds(Version, st.sampled_from(["ticket", "seatmap"]), st.sampled_from(["a", "b", "c"]))
ages = st.floats(0, 2000)
presents = st.lists(
    st.builds(
        Present,
        versions,
        ages.map(lambda age: NOW - age),
        st.none() | ages.map(lambda age: NOW - age),
        st.booleans(),
    ),
    unique_by=lambda item: item.version,
    max_size=6,
)
registereds = st.lists(
    st.builds(Registered, st.uuids().map(str), st.just("http://x"), versions, st.booleans()), max_size=8
)


def present(version: Version, *, age: float = 5000, drained: float | None = None) -> Present:
    return Present(version, NOW - age, None if drained is None else NOW - drained)


def registered(version: Version, name: str = "dp", *, in_use: bool) -> Registered:
    return Registered(name, "http://x", version, in_use)


@given(presents, registereds, st.sets(versions, max_size=4))
def test_what_is_current_or_in_use_stays(there: list[Present], known: list[Registered], current: set[Version]) -> None:
    """Whatever else is true of it."""
    plan = plan_prune(there, known, current, NOW, KEEP)
    in_use = {item.version for item in known if item.is_in_use}
    assert not set(plan.remove) & (current | in_use)
    assert not any(item.is_in_use for item in plan.deregister)


@given(presents, registereds, st.sets(versions, max_size=4))
def test_what_was_seen_drained_too_short_a_time_ago_stays(
    there: list[Present], known: list[Registered], current: set[Version]
) -> None:
    """And what was never seen drained is at most marked, unless it was never registered and is old."""
    plan = plan_prune(there, known, current, NOW, KEEP)
    for item in there:
        if item.version in plan.remove and item.has_deployment:
            if item.drained_at is None:
                assert item.version not in {known.version for known in known}
                assert NOW - item.created_at >= NEVER_REGISTERED_SECONDS
            else:
                assert NOW - item.drained_at >= KEEP


@given(presents, registereds, st.sets(versions, max_size=4))
def test_a_version_in_the_cluster_keeps_its_registration(
    there: list[Present], known: list[Registered], current: set[Version]
) -> None:
    """A version that stays loses a registration only where it serves by another one."""
    plan = plan_prune(there, known, current, NOW, KEEP)
    staying = {item.version for item in there} - set(plan.remove)
    for item in plan.deregister:
        if item.version in staying | current:
            assert any(other.is_in_use and other.version == item.version for other in known)


@given(presents, registereds, st.sets(versions, max_size=4))
def test_pruning_comes_to_an_end(there: list[Present], known: list[Registered], current: set[Version]) -> None:
    """Once done, a second run at the same moment does nothing."""
    plan = plan_prune(there, known, current, NOW, KEEP)
    marks = dict.fromkeys(plan.mark, NOW) | dict.fromkeys(plan.unmark)
    left = [
        Present(item.version, item.created_at, marks.get(item.version, item.drained_at), item.has_deployment)
        for item in there
        if item.version not in plan.remove
    ]
    kept = [item for item in known if item not in plan.deregister]
    again = plan_prune(left, kept, current, NOW, KEEP)
    assert again == Pruning()


def test_an_old_version_goes_step_by_step() -> None:
    """In use: it stays; drained: marked; drained long enough: removed with its registration."""
    now = registered(NEW, "new", in_use=True)
    busy = plan_prune([present(OLD), present(NEW)], [registered(OLD, in_use=True), now], {NEW}, NOW, KEEP)
    assert busy == Pruning()
    drained = registered(OLD, in_use=False)
    assert plan_prune([present(OLD), present(NEW)], [drained, now], {NEW}, NOW, KEEP).mark == (OLD,)
    waiting = plan_prune([present(OLD, drained=KEEP - 1), present(NEW)], [drained, now], {NEW}, NOW, KEEP)
    assert waiting == Pruning()
    over = plan_prune([present(OLD, drained=KEEP), present(NEW)], [drained, now], {NEW}, NOW, KEEP)
    assert over == Pruning(deregister=(drained,), remove=(OLD,))


def test_a_drained_version_that_is_used_again_is_no_longer_marked() -> None:
    """After a rollback to it, its old address is left behind and its time starts anew."""
    old = registered(OLD, "1", in_use=False)
    plan = plan_prune([present(OLD, drained=1000)], [old, registered(OLD, "2", in_use=True)], {OLD}, NOW, KEEP)
    assert plan == Pruning(unmark=(OLD,), deregister=(old,))


def test_a_version_that_was_never_registered_has_ten_minutes() -> None:
    """An upgrade may still be about to register it; an abandoned one goes."""
    assert plan_prune([present(OLD, age=599)], [], {NEW}, NOW, KEEP) == Pruning()
    assert plan_prune([present(OLD, age=600)], [], {NEW}, NOW, KEEP).remove == (OLD,)


def test_an_interrupted_removal_is_finished() -> None:
    """Deregistered but still there: the mark tells that it was drained."""
    assert plan_prune([present(OLD, age=400, drained=KEEP)], [], {NEW}, NOW, KEEP).remove == (OLD,)


def test_a_registration_whose_pods_are_gone_goes() -> None:
    """Unless something still waits for them: then an operator must see it."""
    gone, stuck = registered(OLD, "gone", in_use=False), registered(Version("ticket", "c"), "stuck", in_use=True)
    assert plan_prune([], [gone, stuck], {NEW}, NOW, KEEP).deregister == (gone,)


def test_a_rollback_lets_go_of_exactly_what_helm_would_trip_over() -> None:
    """Wanted, there, and not in the last manifest; all that is wanted where nobody knows the manifest."""
    same = Version("seatmap", "x")
    assert plan_rollback([OLD, NEW, same], {OLD, same}, {NEW, same}) == [OLD]
    assert plan_rollback([NEW, same], {OLD, same}, {NEW, same}) == []
    assert plan_rollback([OLD, NEW, same], {OLD, same}, None) == [same, OLD]


def test_only_an_endpoint_that_serves_nothing_is_repaired() -> None:
    """A refused upgrade leaves the old version serving: nothing is registered behind its back."""
    seatmap = Version("seatmap", "x")
    known = [registered(OLD, "old", in_use=True)]
    assert not_serving({NEW, seatmap}, known, {"old"}) == [seatmap]
    assert not_serving({NEW, seatmap}, known, {"of somebody else"}) == [seatmap, NEW]


@given(st.sets(versions, min_size=1).filter(lambda found: len({item.endpoint for item in found}) == len(found)))
def test_current_is_read_as_it_is_written(found: set[Version]) -> None:
    """Back and forth changes nothing."""
    assert parse_current(write_current(found)) == found


@pytest.mark.parametrize("text", ["", "ticket", "ticket=", "ticket=a,", "ticket=A B", "ticket=a,ticket=b"])
def test_a_wrong_current_is_refused(text: str) -> None:
    """In one sentence that names the option."""
    with pytest.raises(RegistrationError, match="--current"):
        parse_current(text)


@pytest.mark.parametrize("version", ["1.7.4", "1.7.12", "1.8.0-rc.1", "2.0.0"])
def test_a_new_restate_is_fine(version: str) -> None:
    """1.7.4 and later."""
    check_restate(version)


@pytest.mark.parametrize("version", ["1.7.3", "1.6.12", "0.9"])
def test_an_old_restate_is_refused(version: str) -> None:
    """The sentence names both versions."""
    with pytest.raises(RegistrationError, match=rf"version {version}; .*1\.7\.4"):
        check_restate(version)
