"""Sales: in one step, and hold then checkout; through the gateway and straight on the ingress."""

from __future__ import annotations

import functools
from typing import Final

from bench.figures import Measured
from bench.loads import Kind
from bench.measuring import Bench, Scenario
from bench.servers import Shape
from services.common.config import ENDPOINTS

FAMILY: Final = "sales"
REAL: Final = Shape(is_instant=False)


def _rest(bench: Bench, measured: Measured) -> None:
    """Look at memory before anything was asked for."""
    used = bench.servers.usage()
    measured.figures |= {
        "endpoint_mb": max(used[name].memory_mb for name in ENDPOINTS),
        "gateway_mb": used["gateway"].memory_mb,
        "restate_mb": used["restate"].memory_mb,
    }


def _sell(bench: Bench, measured: Measured, kind: Kind, each: int = 1) -> None:
    bench.sell(measured, kind, each)


def _half_load(bench: Bench, measured: Measured) -> None:
    """Sell at half the rate that the closed loop reached; buyers come at random moments."""
    if "sale" not in bench.rates:
        bench.rates["sale"] = bench.rate("sale")
    half = max(1.0, bench.rates["sale"] / 2)
    bench.sell(measured, "sale", per_second=half)
    del measured.figures["efficiency"]
    measured.notes.append(f"{half:.0f} buyers a second, at random moments; times count from when a buyer came")


def _scenario(name: str, title: str, kind: Kind, each: int = 1, *, is_real: bool = False) -> Scenario:
    return Scenario(name, FAMILY, title, functools.partial(_sell, kind=kind, each=each), REAL if is_real else Shape())


SCENARIOS: Final = (
    Scenario("at-rest", "rest", "just started, nothing sold", _rest),
    _scenario("sale", "one-step sale of a seat", "sale"),
    _scenario("sale-ingress", "the same, straight on the ingress", "ingress-sale"),
    Scenario("sale-half-load", FAMILY, "one-step sale at half load", _half_load),
    _scenario("hold-checkout", "hold + checkout of a seat", "hold-checkout"),
    _scenario("hold-checkout-ingress", "the same, straight on the ingress", "ingress-hold-checkout"),
    _scenario("hold-checkout-4", "hold + checkout of four seats", "hold-checkout", 4),
    _scenario("sale-simulator", "one-step sale, payment simulator and mail", "sale", is_real=True),
    _scenario("hold-checkout-simulator", "hold + checkout, payment simulator and mail", "hold-checkout", is_real=True),
    _scenario(
        "hold-checkout-4-simulator",
        "hold + checkout of four seats, payment simulator and mail",
        "hold-checkout",
        4,
        is_real=True,
    ),
)
