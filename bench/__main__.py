"""Measure Nexus on this machine: servers and load of its own, nothing else is touched.

    python -m bench [SCENARIO ...] [--seconds 10] [--seed 7] [--json FILE] [--report docs/performance.md]
    python -m bench --check [--record]      compare three ratios with bench/recorded.json, or write them there

Ends with 1 where what must hold did not (a seat sold twice, an unexpected refusal), or a ratio is worse than recorded.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import NoReturn

import msgspec

from bench import guard, machine, report
from bench.figures import Measured, compared, repeated, worse
from bench.generator import GeneratorError
from bench.measuring import Bench
from bench.scenarios import SCENARIOS, chosen
from bench.servers import running
from bench.targets import judge
from services.cli.errors import GatewayError, StackError
from services.registrar.errors import AdminError

# ruff: noqa: T201 - it is a command line


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="names or families; all where none is given")
    parser.add_argument("--list", action="store_true", help="list the scenarios and end")
    parser.add_argument("--seconds", type=_seconds, default=10.0, help="how long each load lasts, 2 to 600")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the page and its plots there")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare rates with those of an earlier --json")
    parser.add_argument("--check", action="store_true", help="compare ratios with those recorded, in 90 s")
    parser.add_argument("--record", action="store_true", help="with --check: record them instead")
    given = parser.parse_args()
    try:
        if given.list:
            print("\n".join(f"{one.name:26} {one.family:10} {one.title}" for one in SCENARIOS))
        elif given.check or given.record:
            check(given.seed, is_recorded=given.record)
        else:
            measure(given)
    except (ValueError, StackError, AdminError, GatewayError, GeneratorError, guard.NothingRecordedError) as error:
        _fail(str(error), code=2)


def measure(given: argparse.Namespace) -> None:
    """Run scenarios, those of one shape on one stack; print and write what came of them."""
    begun = time.monotonic()
    earlier = _earlier(given.against) if given.against else []
    run = report.Run(
        seed=given.seed,
        seconds=given.seconds,
        machine=machine.describe(),
        versions={"grpcio": version("grpcio"), "granian": version("granian"), "restate-sdk": version("restate-sdk")},
        begun=datetime.now(UTC),
    )
    # Not sorted: a shape that comes back later gets a fresh stack.
    for shape, scenarios in groupby(chosen(given.scenarios), lambda one: one.shape):
        print(f"servers: {shape}", file=sys.stderr)
        with running(shape) as servers:
            run.versions["Restate"] = servers.version()
            bench = Bench(servers, given.seconds, given.seed)
            for scenario in scenarios:
                measured = scenario.measure(bench)
                run.measured.append(measured)
                print(told(measured), flush=True)
    compared(run.measured)
    run.took_seconds = time.monotonic() - begun
    print(f"seed {given.seed}, {run.took_seconds:.0f} s in all\n")
    print(report.targets(run.measured))
    for name, was, now in repeated(earlier, run.measured):
        print(f"{name}: {report.number(was)} a second earlier, now {report.number(now)} ({now / was - 1:+.0%})")
    if given.json:
        for one in run.measured:
            # JSON has no word for them; a figure that is missing says the same.
            one.figures = {name: value for name, value in one.figures.items() if not math.isnan(value)}
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))
    if given.report:
        report.write(run, given.report)
    missed = sum(not one.is_met for one in judge(run.measured))
    print(f"\n{missed} targets missed" if missed else "\nno target missed")
    if wrong := [f"{one.scenario}: {text}" for one in run.measured for text in one.wrong]:
        _fail("\n".join(wrong), code=1)


def check(seed: int, *, is_recorded: bool) -> None:
    """Compare the guarded ratios with those recorded, or record them."""
    before = {} if is_recorded else guard.recorded()
    found, wrong = guard.measure(seed)
    print(f"seed {seed}: " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))
    if is_recorded and not wrong:
        guard.record(found)
    else:
        wrong += [] if is_recorded else worse(before, found)
    if wrong:
        _fail("\n".join(wrong), code=1)


def told(measured: Measured) -> str:
    """Give what was measured on one line."""
    figures = ", ".join(f"{name} {report.number(value)}" for name, value in measured.figures.items())
    return f"{measured.scenario}: {figures}{''.join(f' WRONG: {text}' for text in measured.wrong)}"


def _earlier(path: Path) -> list[Measured]:
    """Read the figures of an earlier run. Raises ValueError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=report.Run).measured
    except OSError as error:
        raise ValueError(f"--against {path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"--against {path}: not what --json wrote ({error})") from None


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 2 <= seconds <= 600:  # noqa: PLR2004 - said in the text
        raise argparse.ArgumentTypeError("expected 2 to 600 seconds")
    return seconds


def _fail(text: str, *, code: int) -> NoReturn:
    print("\n".join(f"bench: {line}" for line in text.splitlines()), file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
