"""One run of pytest in which many mutants are tried: the tests are loaded once, and forked for each mutant.

First all tests run once, unchanged, in a fork, and tell how long each takes and which functions it calls. A mutant in
the body of a function needs nothing loaded anew: in a fork of its own the function gets other code, and only the tests
that call it run, the quickest first, until one fails. What counts at load time (a constant, a default; of a function
that is called then, what these tests did not notice) is left to `anew.py`.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType

import hypothesis
import msgspec
import pytest

from tests.faults.mutation.forks import ANEW, KILLED, SURVIVED, forked
from tests.faults.mutation.mutants import Mutant
from tests.faults.mutation.targets import Target

Calls = dict[str, set[str]]
"""Called functions by module file."""


@dataclass
class Sober:
    """What the tests do without any mutant. Seconds are of the processor; ids are pytest's.

    `libraries`: what else they load.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, Calls] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)


def libraries() -> list[str]:
    """List the loaded modules that are not the project's."""
    own = ("services", "simulators", "tests", "conftest", "__main__")
    return sorted(name for name in sys.modules if name.partition(".")[0] not in own)


def ordered(tests: Sequence[str], seconds: dict[str, float]) -> list[str]:
    """Order tests, the quickest first: most mutants die at once."""
    return sorted(tests, key=lambda test: (seconds[test], test))


class Session:
    """A pytest plugin that tries the mutants of `targets` instead of running the tests."""

    def __init__(self, targets: Sequence[Target], tell: Callable[[str, int, int], None], notes: Path) -> None:
        """`tell`: is told (module, number of the mutant, verdict); ANEW where it has to be loaded for that."""
        self._targets, self._tell, self._notes = targets, tell, notes
        self._watched = {str(target.path) for target in targets}
        self._at_load: Calls = {}
        self._has_failed = False

    def pytest_collection(self) -> None:
        """Watch which functions are called while the tests are loaded."""
        load_profile()
        sys.setprofile(self._watch(self._at_load))

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests soberly once, then try the mutants."""
        sys.setprofile(None)
        items = {item.nodeid: item for item in session.items}
        live = {str(target.path): live_functions(str(target.path)) for target in self._targets}
        gc.collect()
        # Else each fork would copy the memory of all that its collector looks at.
        gc.freeze()
        forked(lambda: self._run_soberly(list(items.values())), 1200, 1800)
        sober = msgspec.json.decode(self._notes.read_bytes(), type=Sober)
        if sober.failed:
            return True
        # The control: in the order and under the limits in which mutants are tried, no change at all is not noticed.
        everything = [items[test] for test in ordered(list(items), sober.seconds)]
        if self._in_fork(lambda: self._pass_all(everything), sum(sober.seconds.values())) == SURVIVED:
            for target in self._targets:
                for number, verdict in self._verdicts(target, live[str(target.path)], items, sober):
                    self._tell(target.short, number, verdict)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notice a failure."""
        self._has_failed = self._has_failed or report.failed

    def _run_soberly(self, items: Sequence[pytest.Item]) -> int:
        sober = Sober()
        for item in items:
            calls: Calls = {}
            begun = time.process_time()
            sys.setprofile(self._watch(calls))
            passed = self._passes(item)
            sys.setprofile(None)
            sober.seconds[item.nodeid] = time.process_time() - begun
            sober.calls[item.nodeid] = calls
            if not passed:
                sober.failed.append(item.nodeid)
        sober.libraries = libraries()
        self._notes.write_bytes(msgspec.json.encode(sober))
        return SURVIVED

    def _watch(self, calls: Calls) -> Callable[[FrameType, str, object], None]:
        watched = self._watched

        def watch(frame: FrameType, what: str, _: object) -> None:
            code = frame.f_code
            if what == "call" and code.co_filename in watched:
                calls.setdefault(code.co_filename, set()).add(function_of(code))

        return watch

    def _verdicts(
        self, target: Target, live: dict[str, list[FunctionType]], items: dict[str, pytest.Item], sober: Sober
    ) -> Iterator[tuple[int, int]]:
        path = str(target.path)
        at_load = self._at_load.get(path, set())
        for number, mutant in enumerate(target.mutants):
            if mutant.function not in live:
                yield number, ANEW
                continue
            callers = [test for test, calls in sober.calls.items() if mutant.function in calls.get(path, ())]
            tests = [items[test] for test in ordered(callers, sober.seconds)]
            spent = sum(sober.seconds[test] for test in callers)
            verdict = self._in_fork(lambda: self._try(mutant, live, path, tests), spent)  # noqa: B023  run at once
            # One that survives what was made with the unchanged function may still be noticed where that is made anew.
            yield number, ANEW if verdict == SURVIVED and mutant.function in at_load else verdict

    def _try(self, mutant: Mutant, live: dict[str, list[FunctionType]], path: str, tests: Sequence[pytest.Item]) -> int:
        try:
            code = codes(compile(mutant.tree(), path, "exec"))[mutant.function]
            for function in live[mutant.function]:
                function.__code__ = code
        except (KeyError, ValueError):
            # The code cannot be exchanged, which says nothing of the tests.
            return ANEW
        return self._pass_all(tests)

    @staticmethod
    def _in_fork(work: Callable[[], int], sober_seconds: float) -> int:
        enough = 10 + 5 * sober_seconds
        return forked(work, enough, 60 + 10 * enough)

    def _pass_all(self, tests: Sequence[pytest.Item]) -> int:
        return SURVIVED if all(self._passes(test) for test in tests) else KILLED

    def _passes(self, item: pytest.Item) -> bool:
        self._has_failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return not self._has_failed


def load_profile() -> None:
    """Settings of hypothesis: a failing example is enough; a smaller one would take longer than all the rest."""
    left_out = (hypothesis.Phase.shrink, hypothesis.Phase.explain)
    hypothesis.settings.register_profile(
        "mutation",
        phases=[phase for phase in hypothesis.Phase if phase not in left_out],
        database=None,
        # A busy machine must not kill mutants.
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")


def function_of(code: CodeType) -> str:
    """Name the function or method that a code belongs to, also that of a function within."""
    return code.co_qualname.partition(".<locals>")[0]


def codes(module: CodeType) -> dict[str, CodeType]:
    """Find the code of each function and method in that of their module."""
    found, left = {}, [module]
    while left:
        inner = [constant for constant in left.pop().co_consts if isinstance(constant, CodeType)]
        found.update({code.co_qualname: code for code in inner if "<" not in code.co_qualname})
        left += inner
    return found


def live_functions(path: str) -> dict[str, list[FunctionType]]:
    """Find the functions of a loaded module, wherever they are bound."""
    found: dict[str, list[FunctionType]] = {}
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_filename == path:
            found.setdefault(thing.__code__.co_qualname, []).append(thing)
    return found
