"""`make bench-check`: a short run whose ratios are compared with those recorded in bench/recorded.json."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from bench.figures import GUARDED, Measured
from bench.measuring import Bench
from bench.servers import Shape, running

RECORDED: Final = Path(__file__).with_name("recorded.json")
ROUNDS: Final = 3
SALE_SECONDS: Final = 4.0
"""Of each of the two kinds in each round: with starting, stopping and yardsticks 90 s."""


class NothingRecordedError(Exception):
    """There is nothing to compare with."""


def measure(seed: int) -> tuple[dict[str, float], list[str]]:
    """Sell through the gateway and round it in turn; give the median of each guarded ratio, and what must not be."""
    found: dict[str, list[float]] = {name: [] for name in GUARDED}
    wrong: list[str] = []
    with running(Shape()) as servers:
        bench = Bench(servers, SALE_SECONDS, seed)
        for _ in range(ROUNDS):
            direct = bench.rate("ingress-sale")
            measured = Measured("sale", "sales", "one-step sale")
            bench.sell(measured, "sale")
            found["efficiency"].append(measured.figures["efficiency"])
            found["invocations_per_sale"].append(measured.figures["invocations"])
            found["gateway_cost"].append(direct / measured.figures["rate"] if measured.figures["rate"] else math.nan)
            wrong += measured.wrong
    return {name: median(values) for name, values in found.items()}, wrong


def recorded(path: Path = RECORDED) -> dict[str, float]:
    """Read what was recorded. Raises NothingRecordedError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    except FileNotFoundError:
        raise NothingRecordedError(f"{path.name} is not there: python -m bench --check --record writes it") from None
    except msgspec.DecodeError:
        raise NothingRecordedError(f"{path.name} is no JSON object of numbers") from None


def record(found: dict[str, float], path: Path = RECORDED) -> None:
    """Write what is compared with from now on."""
    rounded = {name: round(value, 3) for name, value in found.items()}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rounded), indent=2) + b"\n")
