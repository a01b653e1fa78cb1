"""Rate limits: what a bucket lets through, which class an RPC has, and whose call it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.config import ConfigError, Secret
from services.gateway import settings as told
from services.gateway.ratelimit import (
    ADDRESS_DEFAULTS,
    CALLER_DEFAULTS,
    CallClass,
    Limit,
    Proxies,
    bucket_address,
    call_class,
    grpc_peer,
    parse_limits,
    parse_networks,
    take,
)
from services.gateway.ratelimit_store import LocalBuckets
from services.gateway.routes import load_routes
from services.gateway.settings import GatewaySettings

ROUTES = load_routes()
NOTHING = GatewaySettings(seal_keys=Secret(""), subject_key=Secret(""))


@given(
    st.sampled_from([0.5, 1.0, 3.0, 50.0]),
    st.integers(1, 20),
    st.lists(st.floats(0, 5, allow_subnormal=False), min_size=1, max_size=80),
)
def test_no_window_lets_more_through_than_rate_and_burst(rate: float, burst: int, pauses: list[float]) -> None:
    """In any window of time at most burst + rate x window calls pass, and one that waits as told passes then."""
    limit, now, full_at, passed = Limit(rate, burst), 1000.0, 0.0, []
    for pause in pauses:
        now += pause
        full_at, wait = take(full_at, now, limit)
        if wait == 0:
            passed.append(now)
            continue
        assert take(full_at, now + wait * 0.99, limit)[1] > 0 or wait < 1e-5
        assert take(full_at, now + wait, limit)[1] == 0
        assert wait <= limit.interval + 1e-6
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - passed[first]) + 1e-3


async def test_a_refused_call_takes_nothing_of_either_bucket() -> None:
    """Tokens are taken of the address's and of the caller's bucket together, or of none."""
    clock = [0.0]
    buckets = LocalBuckets(clock=lambda: clock[0])
    wide, narrow = ("address", Limit(1, 5)), ("caller", Limit(1, 1))
    assert await buckets.take([wide, narrow]) == (0, 0.0)
    for _ in range(50):
        assert await buckets.take([wide, narrow]) == (1, pytest.approx(1.0))
    assert [(await buckets.take([wide]))[1] for _ in range(5)] == [0, 0, 0, 0, pytest.approx(1.0)]


async def test_memory_is_bounded_and_forgets_who_was_seen_last() -> None:
    """However many callers there are, so many buckets are kept, and the busy one keeps its own."""
    buckets = LocalBuckets(max_buckets=100, clock=lambda: 0.0)
    busy = ("busy", Limit(1, 1_000_000))
    for number in range(10_000):
        await buckets.take([(f"caller-{number}", Limit(1, 1)), busy])
    assert len(buckets) == 100
    assert "busy" in buckets._full_at


def test_every_rpc_has_the_class_that_its_proto_says() -> None:
    """Streams and reads, holds, checkouts and an organizer's changes have limits of their own."""
    found = {name.rpartition("/")[2]: call_class(route) for name, route in ROUTES.items()}
    assert found["HoldSeats"] == found["ReleaseHold"] == found["CancelOrder"] == CallClass.HOLDS
    assert found["Checkout"] == CallClass.CHECKOUTS
    assert found["CreateEvent"] == found["BlockSeats"] == CallClass.CHANGES
    reads = {name for name, kind in found.items() if kind is CallClass.READS}
    assert {"GetSeatMap", "WatchSeatMap", "GetOrder", "ListEvents"} <= reads
    assert all(name.startswith(("Get", "List", "Watch")) for name in reads)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:/run/x", ""),
        ("", ""),
    ],
)
def test_an_ipv6_site_is_one_address(address: str, name: str) -> None:
    """IPv4 counts by itself, also where it is written as IPv6; IPv6 counts by its /64."""
    assert bucket_address(address) == name


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.7:5", "192.0.2.7"),
        ("ipv6:%5B2001:db8::1%5D:5", "2001:db8::1"),
        ("ipv6:[::1]:50051", "::1"),
        ("unix:@x", ""),
    ],
)
def test_the_peer_of_a_grpc_call_is_read(peer: str, address: str) -> None:
    """gRPC's own forms of an address are understood."""
    assert grpc_peer(peer) == address


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ((), "10.0.0.1", ["203.0.113.9"], "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", ["198.51.100.1, 203.0.113.9, 10.2.2.2"], "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (("10.0.0.0/8",), "203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", ["nonsense"], "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", ["nonsense, 10.2.2.2"], "10.2.2.2"),
        (("10.0.0.0/8",), "10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        (("10.0.0.0/8",), "10.0.0.1", ["203.0.113.9:51000"], "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", [], "10.0.0.1"),
        (("1",), "10.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (("2",), "10.0.0.1", ["198.51.100.1, 203.0.113.9, 192.0.2.1"], "203.0.113.9"),
        (("2",), "10.0.0.1", ["203.0.113.9"], "10.0.0.1"),
        (("1",), "10.0.0.1", ["nonsense"], "10.0.0.1"),
    ],
)
def test_only_trusted_proxies_say_whose_call_it_is(
    trusted: tuple[str, ...], peer: str, forwarded: list[str], client: str
) -> None:
    """What a client writes into X-Forwarded-For itself never becomes its address."""
    assert Proxies.parse(trusted).client(peer, forwarded) == client


@given(st.lists(st.text(max_size=60), max_size=4), st.sampled_from([("10.0.0.0/8",), ("1",), ("3",)]))
def test_no_header_breaks_it(forwarded: list[str], trusted: tuple[str, ...]) -> None:
    """Whatever stands in the headers, an address comes out."""
    assert bucket_address(Proxies.parse(trusted).client("10.0.0.1", forwarded))


def test_limits_are_read_and_changed_one_by_one() -> None:
    """What is not given stays as it was; off takes a limit away."""
    limits = parse_limits(("holds=0.5/3", "reads=off", "watches=7"), CALLER_DEFAULTS)
    assert limits.rates[CallClass.HOLDS] == Limit(0.5, 3)
    assert CallClass.READS not in limits.rates
    assert limits.rates[CallClass.CHECKOUTS] == parse_limits((), CALLER_DEFAULTS).rates[CallClass.CHECKOUTS]
    assert limits.watches == 7
    assert parse_limits(("watches=off",), ADDRESS_DEFAULTS).watches is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_limit_caller": ("holds=5",)},
        {"rate_limit_caller": ("holds=0/5",)},
        {"rate_limit_caller": ("holds=5/0",)},
        {"rate_limit_address": ("sleeps=5/5",)},
        {"rate_limit_address": ("watches=5/5",)},
        {"rate_limit_exempt": ("10.0.0.1/8",)},
        {"trusted_proxies": ("0",)},
        {"trusted_proxies": ("nginx",)},
        {"rate_limit_store": Secret("http://:hidden-word@host")},
        {"rate_limit_store": Secret("redis://:hidden-word@host:port")},
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, object]) -> None:
    """A limit that cannot be read stops the process with one line, which names the variable and no secret."""
    values = {name: getattr(NOTHING, name) for name in NOTHING.__struct_fields__}
    with pytest.raises(ConfigError) as refused:
        told.guard(GatewaySettings(**{**values, **wrong}))
    (variable,) = refused.value.problems
    assert variable == f"NEXUS_{next(iter(wrong)).upper()}"
    assert "hidden-word" not in str(refused.value)


def test_networks_of_both_families_are_read() -> None:
    """An address alone is a network of one."""
    assert [*map(str, parse_networks(["10.1.2.3", "2001:db8::/32"]))] == ["10.1.2.3/32", "2001:db8::/32"]
