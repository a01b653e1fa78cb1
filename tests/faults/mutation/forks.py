"""Work in a process of its own: a fork that may spoil whatever it likes, run wild, and be ended."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable

KILLED, SURVIVED, ANEW = 0, 1, 2
"""Verdicts; the first two are told by a fork's exit code, ANEW asks for another kind of fork (`anew.py`)."""

MEMORY_BYTES = 4 << 30
"""A mutant that takes more fails, and the machine does not."""


def forked(work: Callable[[], int], cpu_seconds: float, wall_seconds: float) -> int:
    """Run `work` in a fork and give its verdict; one that fails or takes too long is KILLED.

    The processor's time counts, so that a busy machine kills nothing; `wall_seconds` ends what only waits.
    """
    child = os.fork()
    if child == 0:
        # The process is ended whatever happens: it must never go on as a second runner.
        with contextlib.suppress(BaseException):
            resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_seconds) + 1,) * 2)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES,) * 2)
            os._exit(work())
        os._exit(KILLED)
    deadline = time.monotonic() + wall_seconds
    pause = 0.001
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else KILLED
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return KILLED
