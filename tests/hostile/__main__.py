"""The long form of the attacks: `python -m tests.hostile [--cases 12000] [--seed N]`. Prints what it did."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import random
import subprocess
import sys
import time
from pathlib import Path

TESTS = [f"tests/integration/test_hostile_{name}.py" for name in ("requests", "openapi", "http2")]
PINNED = ("hypothesis", "schemathesis", "grpcio", "Hypercorn", "h2", "protobuf")


def main() -> int:
    """Run the tests of hostile input with more cases; gives pytest's exit code."""
    parser = argparse.ArgumentParser(description="Attacks both doors of a stack of its own.")
    parser.add_argument("--cases", type=int, default=12_000, help="requests made from the proto's descriptors")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31), help="to repeat a run")
    chosen = parser.parse_args()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PINNED)
    print(f"hostile input: {chosen.cases} generated requests beside schemathesis, seed {chosen.seed}; {versions}")
    begun = time.monotonic()
    own = {"NEXUS_HOSTILE_CASES": str(chosen.cases), "NEXUS_HOSTILE_SEED": str(chosen.seed)}
    # Their prints are the counts, and every failure names its case.
    argv = [sys.executable, "-m", "pytest", "-q", "-s", "--durations=5", *TESTS]
    code = subprocess.run(argv, env=os.environ | own, check=False, cwd=Path(__file__).resolve().parents[2]).returncode
    how = "passed" if code == 0 else "FAILED"
    print(f"hostile input: {how} after {time.monotonic() - begun:.0f} s, seed {chosen.seed}")
    return code


if __name__ == "__main__":
    sys.exit(main())
