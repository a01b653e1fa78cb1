"""How much a caller and an address may ask for: classes of calls, their limits, who counts as one address. Pure.

A limit is a token bucket, kept as one number: the moment at which the bucket is full again. Where the numbers
are kept is in `ratelimit_store.py`, when they are looked at in `ratelimit_guard.py`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import unquote

from services.gateway.gen.nexus.v1 import options_pb2
from services.gateway.routes import Route

Network = IPv4Network | IPv6Network

IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that are one client: a site is given no less. Source: RFC 6177, section 2."""

MAX_HOPS: Final = 9
LEAST_WAIT_SECONDS: Final = 1e-6
"""Less is arithmetic, not time."""

OFF: Final = "off"

_LIMIT = re.compile(r"(?P<rate>\d{1,7}(?:\.\d{1,6})?)/(?P<burst>\d{1,7})")
_COUNT = re.compile(r"\d{1,7}")
_PORT = re.compile(r":\d{1,5}$")


class CallClass(enum.Enum):
    """What kinds of calls have limits of their own."""

    READS = "reads"
    HOLDS = "holds"
    CHECKOUTS = "checkouts"
    CHANGES = "changes"


WATCHES: Final = "watches"
"""Name of the limit of streams open at once, a plain number."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A token bucket: `burst` calls at once, and `per_second` more each second."""

    per_second: float
    burst: int

    @property
    def interval(self) -> float:
        """Seconds in which one token comes back."""
        return 1 / self.per_second


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one caller, or of one address. What is not in `rates` has none; `watches`: open at once."""

    rates: Mapping[CallClass, Limit]
    watches: int | None = None


CALLER_DEFAULTS: Final = (
    "reads=100/1000",
    "holds=10/200",
    "checkouts=5/100",
    "changes=50/500",
    "watches=100",
)
"""Of one caller: far above what a person does, and what a program of an organizer needs."""

ADDRESS_DEFAULTS: Final = (
    "reads=5000/20000",
    "holds=1000/4000",
    "checkouts=1000/4000",
    "changes=200/2000",
    "watches=20000",
)
"""Of one address: thousands may share one, behind a provider's translation or a proxy that is not trusted."""


def call_class(route: Route) -> CallClass:
    """Give the class of an RPC, from what its proto says: a stream is opened by a read."""
    if route.http_method == "GET" or route.is_stream:
        return CallClass.READS
    if route.access in (options_pb2.ACCESS_ORGANIZER, options_pb2.ACCESS_ADMIN):
        return CallClass.CHANGES
    if route.idempotency == options_pb2.IDEMPOTENCY_KEY:
        return CallClass.CHECKOUTS
    return CallClass.HOLDS


def take(full_at: float, now: float, limit: Limit) -> tuple[float, float]:
    """Take one token of a bucket that is full at `full_at`; gives when it is full then, and 0, or the seconds to wait.

    A refused call takes nothing. Times in seconds of one clock.
    Source: the virtual scheduling form of the generic cell rate algorithm, ITU-T I.371, annex A.
    """
    begin = max(full_at, now)
    wait = begin + limit.interval - limit.burst * limit.interval - now
    return (full_at, wait) if wait > LEAST_WAIT_SECONDS else (begin + limit.interval, 0.0)


def parse_limits(given: Sequence[str], defaults: Sequence[str]) -> Limits:
    """Read limits such as `holds=5/50` (5 a second, 50 at once), `watches=50` or `reads=off`.

    What is not given is as in `defaults`. Raises ValueError, whose text says what is wrong.
    """
    texts: dict[str, str] = {}
    for part in (*defaults, *given):
        name, _, text = part.partition("=")
        texts[name.strip()] = text.strip()
    rates: dict[CallClass, Limit] = {}
    watches: int | None = None
    names = {kind.value: kind for kind in CallClass}
    for name, text in texts.items():
        if name != WATCHES and name not in names:
            raise ValueError(f"{', '.join((*names, WATCHES))} have limits, each as in {defaults[1]}")
        if text == OFF:
            continue
        if name == WATCHES:
            watches = _count(text)
        else:
            rates[names[name]] = _limit(name, text)
    return Limits(rates, watches)


def _limit(name: str, text: str) -> Limit:
    found = _LIMIT.fullmatch(text)
    if found is None or float(found["rate"]) <= 0 or int(found["burst"]) < 1:
        raise ValueError(f"{name} must be a rate and a burst above zero as in {name}=5/50, or {name}={OFF}")
    return Limit(float(found["rate"]), int(found["burst"]))


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text) or int(text) < 1:
        raise ValueError(f"{WATCHES} must be a whole number above zero, or {WATCHES}={OFF}")
    return int(text)


def parse_networks(given: Iterable[str]) -> tuple[Network, ...]:
    """Read addresses and networks such as `10.0.0.0/8`. Raises ValueError."""
    try:
        return tuple(ip_network(text) for text in given)
    except ValueError:
        raise ValueError("addresses and networks as in 10.0.0.0/8, without bits behind the prefix") from None


def contains(networks: Iterable[Network], address: str) -> bool:
    """Tell whether an address is in one of the networks."""
    found = _address(address)
    return found is not None and any(found in network for network in networks)


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxies stand before the doors and may say whose call it is: by number, or by network."""

    hops: int = 0
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, given: Sequence[str]) -> Proxies:
        """Read a number of proxies, or their networks. Raises ValueError."""
        if len(given) == 1 and given[0].isdecimal():
            if not 0 < int(given[0]) <= MAX_HOPS:
                raise ValueError(f"a number of proxies from 1 to {MAX_HOPS}, or their networks as in 10.0.0.0/8")
            return cls(hops=int(given[0]))
        return cls(networks=parse_networks(given))

    def client(self, peer: str, forwarded: Iterable[str]) -> str:
        """Give the address whose call it is. `peer`: of the connection; `forwarded`: the X-Forwarded-For headers.

        Only what a trusted proxy appended is believed, read from the right; what a client wrote is left of it.
        """
        told = (
            [text.strip() for header in forwarded for text in header.split(",")] if self.hops or self.networks else []
        )
        if self.hops:
            # Fewer than there are proxies: the call came round them.
            return _bare(told[-self.hops]) or peer if len(told) >= self.hops else peer
        client = peer
        while told and contains(self.networks, client):
            found = _bare(told.pop())
            if not found:
                break
            client = found
        return client


def bucket_address(address: str) -> str:
    """Give the name under which an address is counted: IPv4 by itself, IPv6 by its /64; empty where it has none."""
    found = _address(address)
    if found is None:
        return ""
    if isinstance(found, IPv4Address):
        return str(found)
    return str(IPv6Network((int(found), IPV6_PREFIX), strict=False))


def grpc_peer(peer: str) -> str:
    """Give the address in gRPC's own form, as in `ipv4:10.0.0.1:5` or `ipv6:%5Bfe80::1%5D:5`; empty for another."""
    family, _, rest = unquote(peer).partition(":")
    return _bare(rest) if family in {"ipv4", "ipv6"} else ""


def _bare(text: str) -> str:
    """Take brackets and port off an address; empty where it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = _PORT.sub("", text)
    return text if _address(text) is not None else ""


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # One client, whichever family its socket has.
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
