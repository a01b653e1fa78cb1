"""More processes of an endpoint, more partitions, three nodes: on few cores the shape matters, not the height."""

from __future__ import annotations

from typing import Final

from bench.figures import Measured
from bench.measuring import Bench, Scenario
from bench.servers import Shape

FAMILY: Final = "scale"


def _sell(bench: Bench, measured: Measured) -> None:
    bench.sell(measured, "sale")


def _scenario(name: str, title: str, shape: Shape) -> Scenario:
    return Scenario(name, FAMILY, f"one-step sale, {title}", _sell, shape)


SCENARIOS: Final = (
    _scenario("processes-1", "1 process an endpoint, 4 partitions, 1 node", Shape()),
    _scenario("processes-2", "2 processes an endpoint", Shape(processes=2)),
    _scenario("processes-3", "3 processes an endpoint", Shape(processes=3)),
    _scenario("partitions-1", "1 partition", Shape(partitions=1)),
    _scenario("partitions-24", "24 partitions", Shape(partitions=24)),
    _scenario("nodes-3", "3 Restate nodes, replication 2", Shape(nodes=3)),
)
