"""Mutants that count when their module is loaded: in a fork of a process that has loaded the libraries alone."""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from tests.faults.mutation.forks import KILLED, SURVIVED, forked
from tests.faults.mutation.mutants import Mutant
from tests.faults.mutation.session import Sober, load_profile
from tests.faults.mutation.targets import Target

OPTIONS = (
    "-x",
    "-q",
    "--capture=no",
    "-p",
    "no:cacheprovider",
    "--hypothesis-seed=20261121",
    # Loaded before pytest could look at it, on purpose.
    "-W",
    "ignore:Module already imported",
)


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from other code than its file's."""

    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        self._name, self._path, self._code = name, path, code

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Know the one module."""
        if fullname != self._name:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=str(self._path))

    def exec_module(self, module: ModuleType) -> None:
        """Run the other code."""
        exec(self._code, module.__dict__)


class Quickest:
    """A pytest plugin that runs the quickest tests first."""

    def __init__(self, sober: Sober) -> None:
        self._sober = sober

    def pytest_collection(self) -> None:
        """Take the settings of hypothesis that a mutant needs."""
        load_profile()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Order the tests."""
        items.sort(key=lambda item: (self._sober.seconds.get(item.nodeid, 0.0), item.nodeid))


def load_libraries(sober: Sober) -> None:
    """Load what the tests load beside the project, once for all forks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sober.libraries:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def verdict(target: Target, mutant: Mutant | None, sober: Sober) -> int:
    """Load the mutant in place of its module, and run the tests that import it, file by file, the quickest first.

    Without a mutant the module is loaded as it is: the control.
    """
    seconds = dict.fromkeys(target.files, 0.0)
    for test, spent in sober.seconds.items():
        for file in target.files:
            if Path(test.partition("::")[0]).name == Path(file).name:
                seconds[file] += spent
    enough = 20 + 5 * sum(seconds.values())
    files = sorted(target.files, key=lambda file: seconds[file])
    return forked(lambda: _try(target, mutant, files, sober), enough, 60 + 10 * enough)


def _try(target: Target, mutant: Mutant | None, files: Sequence[str], sober: Sober) -> int:
    silence()
    source = mutant.tree() if mutant is not None else target.path.read_text()
    code = compile(source, str(target.path), "exec")
    sys.meta_path.insert(0, Mutated(target.name, target.path, code))
    # One file after the other: loading all of them would take longer than most mutants live.
    passed = all(pytest.main([*OPTIONS, file], plugins=[Quickest(sober)]) == pytest.ExitCode.OK for file in files)
    return SURVIVED if passed else KILLED


def silence() -> None:
    """Let nobody hear what tests print."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
