"""Whether a measurement can be believed: chunks that agree, and a profile whose sum is the latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...quantities import time
from .overhead import Overhead
from .source import Profile

MOST_APART, MOST_OFF = 0.10, 0.15
AGREEING = 3
"""Chunks that must be close to the fastest."""
ABSOLUTE, PER_CALL = 2e-6, 0.5e-6
"""Seconds by which a profile may always be off, and for every operator: its clock counts whole microseconds."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What chunks of one model say."""

    seconds: float
    """The middle of those that agree."""
    floor: float
    """How far these are apart, as a share."""
    fault: str
    """Why they do not agree; "" where they do."""


def judge_chunks(chunks: Sequence[float]) -> Judged:
    """The `AGREEING` fastest must be within `MOST_APART`: slower ones were disturbed."""
    if not chunks:
        return Judged(0.0, 0.0, "no pass was timed")
    best = sorted(chunks)[:AGREEING]
    apart = best[-1] / best[0] - 1 if best[0] > 0 else 0.0
    few = len(best) < AGREEING
    fault = f"only {len(best)} of {AGREEING} passes were timed" if few else ""
    if apart > MOST_APART:
        times = ", ".join(map(time, sorted(chunks)))
        fault = f"repeated passes differ by {apart:.0%}, above {MOST_APART:.0%} ({times})"
    return Judged(best[len(best) // 2], apart, fault)


def judge_profile(profile: Profile, latency: float, overhead: Overhead) -> str:
    """Why the sum of the operators, less the profiler's own time, is not the latency; "" where it is."""
    net = profile.seconds - profile.calls * (overhead.profiler - overhead.launch) + overhead.dispatch
    off = net / latency - 1 if latency > 0 else 0.0
    if abs(off) <= MOST_OFF or abs(net - latency) <= ABSOLUTE + PER_CALL * profile.calls:
        return ""
    return (
        f"the operators sum to {time(net)} without the profiler's own time, a run takes {time(latency)}: {off:+.0%}, above {MOST_OFF:.0%}"
    )
