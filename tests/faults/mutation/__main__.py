"""Do the tests bite? Changes each rule of the domains a little, and runs the unit tests that touch it.

    python -m tests.faults.mutation                     every domain*.py and saga.py
    python -m tests.faults.mutation ticket/domain.py    some of them
    python -m tests.faults.mutation --every 40 --seed 7 one mutant in 40, chosen by the seed: a minute, not half an hour

A mutant is killed where a test fails or takes much longer. Ends with 1 where fewer than 90 % are killed (of each
module where all are tried, else of all together), or where a survivor is not in `survivors.toml`, in which each has
its reason. Each mutant has a process of its own: the files are never touched.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import msgspec
import pytest

from tests.faults.mutation import anew
from tests.faults.mutation.forks import ANEW, KILLED, SURVIVED, forked
from tests.faults.mutation.mutants import Mutant
from tests.faults.mutation.session import Session, Sober
from tests.faults.mutation.targets import Target, paths, target

REASONS = Path(__file__).with_name("survivors.toml")
ENOUGH = 0.9

Verdicts = dict[tuple[str, int], int]
"""KILLED or SURVIVED by module and number of the mutant."""


class StoppedError(RuntimeError):
    """No mutant can be tried."""


def judged(targets: Sequence[Target], folder: Path) -> Verdicts:
    """Try all mutants; prints each survivor at once."""
    notes, told = folder / "sober.json", folder / "verdicts.jsonl"
    forked(lambda: _session(targets, notes, told), 7200, 14400)
    if not notes.exists():
        raise StoppedError("the tests could not be loaded")
    sober = msgspec.json.decode(notes.read_bytes(), type=Sober)
    if sober.failed:
        raise StoppedError(f"tests fail without any mutant: {' '.join(sober.failed)}")
    if not told.read_text():
        raise StoppedError("tests fail without any mutant when the quick ones run first: one needs another before it")
    verdicts: Verdicts = {}
    for line in told.read_text().splitlines():
        short, number, verdict = json.loads(line)
        verdicts[short, number] = verdict
    anew.load_libraries(sober)
    if anew.verdict(targets[0], None, sober) != SURVIVED:
        raise StoppedError(f"the tests of {targets[0].short} fail without any mutant when it is loaded anew")
    for one in targets:
        for number, mutant in enumerate(one.mutants):
            if verdicts[one.short, number] == ANEW:
                verdicts[one.short, number] = anew.verdict(one, mutant, sober)
                _tell(one, mutant, verdicts[one.short, number], sys.stdout)
    return verdicts


def _session(targets: Sequence[Target], notes: Path, told: Path) -> int:
    by_name = {one.short: one for one in targets}
    with os.fdopen(os.dup(1), "w", buffering=1) as out, told.open("w", buffering=1) as lines:
        anew.silence()

        def tell(short: str, number: int, verdict: int) -> None:
            lines.write(json.dumps([short, number, verdict]) + "\n")
            _tell(by_name[short], by_name[short].mutants[number], verdict, out)

        files = sorted({file for one in targets for file in one.files})
        pytest.main([*anew.OPTIONS, *files], plugins=[Session(targets, tell, notes)])
    return SURVIVED


def _tell(one: Target, mutant: Mutant, verdict: int, out: TextIO) -> None:
    if verdict == SURVIVED:
        print(f"  survived: {one.short} {mutant}", file=out, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Try the modules that are named, or all."""
    parser = argparse.ArgumentParser(description="Do the tests bite?")
    parser.add_argument("names", nargs="*", help="modules, by the end of their path; else all")
    parser.add_argument("--every", type=int, default=1, help="try only one in so many mutants, chosen by chance")
    parser.add_argument("--seed", type=int, default=0, help="of that chance")
    given = parser.parse_args(arguments)
    chosen = [path for path in paths() if not given.names or any(str(path).endswith(name) for name in given.names)]
    if strange := [name for name in given.names if not any(str(path).endswith(name) for path in chosen)]:
        parser.error(f"no module that decides something is named {strange[0]}: try one like ticket/domain.py")
    targets = [target(path, given.every, given.seed) for path in chosen]
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
            verdicts = judged(targets, Path(folder))
    except StoppedError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"seed {given.seed}, one in {given.every}, {time.monotonic() - begun:.0f} s")
    return 0 if is_enough(targets, verdicts, is_whole=given.every == 1) else 1


def is_enough(targets: Sequence[Target], verdicts: Verdicts, *, is_whole: bool) -> bool:
    """Print what was killed; tells whether it is enough and each survivor has its reason."""
    reasons = tomllib.loads(REASONS.read_text())
    total, killed, unexplained, lowest, rows = 0, 0, 0, 1.0, []
    for one in targets:
        known = reasons.get(one.short, {})
        alive = [mutant for number, mutant in enumerate(one.mutants) if verdicts[one.short, number] != KILLED]
        count, dead = len(one.mutants), len(one.mutants) - len(alive)
        unexplained += sum(mutant.name not in known for mutant in alive)
        total, killed, lowest = total + count, killed + dead, min(lowest, dead / count)
        explained = sum(mutant.name in known for mutant in alive)
        print(f"{one.short}: {dead} of {count} killed ({dead / count:.1%}), {explained} more survive for a reason")
        if is_whole and (idle := sorted(set(known) - {mutant.name for mutant in alive})):
            print(f"  reasons that nothing needs any more: {'; '.join(idle)}")
        rows.append({"module": one.short, "mutants": count, "survivors": [[m.line, m.name] for m in alive]})
    print(f"all: {killed} of {total} killed ({killed / total:.1%}); {unexplained} survivors without a reason")
    if report := os.environ.get("NEXUS_MUTATION_REPORT"):
        Path(report).write_text(json.dumps(rows, indent=1))
    return (lowest if is_whole else killed / total) >= ENOUGH and not unexplained


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
