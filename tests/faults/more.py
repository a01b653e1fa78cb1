"""Faults of processes, provider, network, clock, single handlers and disk, beside those of faults.py."""

from __future__ import annotations

from tests.faults import more_clock, more_disk, more_network, more_processes, more_raising
from tests.faults.faults import Fault

_stepping_down = more_processes.SteppingDown()
_odd = more_processes.OddProvider()
_much_off = more_clock.MuchOff()
_raises = more_raising.AlwaysRaises()
_full = more_disk.FullDisk()

MORE: tuple[Fault, ...] = (
    Fault(
        "sigterm",
        "SIGTERM of one endpoint after another, each started again; no step twice, nobody left in doubt",
        _stepping_down.breaks,
        seconds=30,
        also=_stepping_down.also,
        is_short=True,
    ),
    Fault(
        "freeze checkout 60 s",
        "SIGSTOP of checkout once for 60 s; no rate is asked: soon every buyer waits for an order",
        more_processes.stop_for_a_minute,
        seconds=90,
        least=0,
    ),
    Fault(
        "two at once",
        "gateway and checkout killed in the same moment; Restate killed while the ticket endpoint stands still",
        more_processes.two_at_once,
        least=0.2,
    ),
    Fault(
        "provider odd",
        "429 with Retry-After; reset; done and the answer lost; each call twice; answers and calls 11 s late",
        _odd.breaks,
        seconds=24,
        also=_odd.also,
        least=0.2,
    ),
    Fault(
        "network",
        "toxiproxy before the ingress and before the provider: slow, narrow, sliced, reset, silent",
        more_network.poisoned,
        seconds=24,
        victim=more_network.ProxiedVictim,
        needs=more_network.why_not,
        least=0.2,
    ),
    Fault(
        "clock 2 s",
        "the clocks of ticket and checkout 2 s ahead, that of seatmap 2 s behind, from beginning to end",
        more_clock.a_little_off,
        seconds=12,
        victim=more_clock.LittleOffVictim,
        needs=more_clock.why_not,
        also=more_clock.is_a_little_off,
    ),
    Fault(
        "clock 10 min",
        "ticket and checkout in turn come up 10 min off and refuse every call until they are put right; no rate is "
        "asked: nothing can be sold meanwhile",
        _much_off.breaks,
        victim=more_clock.ClockVictim,
        needs=more_clock.why_not,
        also=_much_off.also,
        least=0,
    ),
    Fault(
        "always raises",
        "one order's process and one seat's release raise at every attempt; the doctor names both; then repaired",
        _raises.breaks,
        seconds=15,
        victim=more_raising.WrappedVictim,
        also=_raises.also,
    ),
    Fault(
        "full disk",
        "no space under Restate for 8 s, twice; no rate is asked: nothing can be written meanwhile",
        _full.breaks,
        seconds=60,
        victim=more_disk.SmallDiskVictim,
        needs=more_disk.why_not,
        also=_full.also,
        least=0,
    ),
)
"""In the order in which they run; each with what it is judged by beside the invariants."""
