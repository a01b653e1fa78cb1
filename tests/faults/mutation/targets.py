"""Which modules are changed, and which of the unit tests are asked about each."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from tests.faults.mutation.mutants import Mutant, chosen, mutants

PROJECT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Target:
    """A module, the test files that import it, and the mutants of it that are tried."""

    name: str
    path: Path
    files: list[str]
    mutants: list[Mutant]

    @property
    def short(self) -> str:
        """Its path in `services`."""
        return str(self.path.relative_to(PROJECT / "services"))


def paths() -> list[Path]:
    """List the modules that decide something."""
    services = PROJECT / "services"
    return sorted([*services.glob("*/domain*.py"), *services.glob("*/saga.py")])


def target(path: Path, every: int, seed: int) -> Target:
    """Make the mutants of a module that are to be tried, and find its tests."""
    name = ".".join(path.relative_to(PROJECT).with_suffix("").parts)
    made = list(mutants(path.read_text()))
    return Target(name, path, _test_files(name), chosen(made, every, f"{seed} {name}"))


def _test_files(name: str) -> list[str]:
    found = []
    for path in sorted((PROJECT / "tests" / "unit").glob("test_*.py")):
        imported = {
            imported
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
            for imported in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        }
        # Tests of every interleaving would kill much that a domain's own tests ought to see.
        if name in imported and "explorer" not in path.name:
            found.append(str(path))
    return found
