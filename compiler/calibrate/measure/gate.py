"""Whether a measurement can be believed: chunks that agree, and a profile whose sum is the latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...quantities import time
from .overhead import Overhead, of_model
from .source import Profile

MOST_APART, MOST_OFF = 0.10, 0.15
AGREEING = 3
"""Chunks that must be close to each other."""
LUCKY = 4
"""One chunk in so many may be faster than those that agree."""
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
    """The `AGREEING` fastest that are within `MOST_APART`: slower ones were disturbed. So many of the fastest as `LUCKY` says may be left
    out: a session whose memory happens to lie well is faster than the next ones."""
    if not chunks:
        return Judged(0.0, 0.0, "no pass was timed")
    ranked = sorted(chunks)
    starts = range(max(1, min(len(ranked) // LUCKY, len(ranked) - AGREEING) + 1))
    tried = [ranked[start : start + AGREEING] for start in starts]
    best = next((three for three in tried if _apart(three) <= MOST_APART), tried[0])
    apart = _apart(best)
    few = len(best) < AGREEING
    fault = f"only {len(best)} of {AGREEING} passes were timed" if few else ""
    if apart > MOST_APART:
        times = ", ".join(map(time, ranked))
        fault = f"repeated passes differ by {apart:.0%}, above {MOST_APART:.0%} ({times})"
    return Judged(best[len(best) // 2], apart, fault)


def _apart(chunks: Sequence[float]) -> float:
    return chunks[-1] / chunks[0] - 1 if chunks[0] > 0 else 0.0


def judge_profile(profile: Profile, latency: float, overhead: Overhead) -> str:
    """Why the sum of the operators, less the profiler's own time, is not the latency; "" where it is."""
    own = of_model(overhead, profile, latency)
    net = profile.seconds - profile.calls * (own.profiler - own.launch) + own.dispatch
    off = net / latency - 1 if latency > 0 else 0.0
    if abs(off) <= MOST_OFF or abs(net - latency) <= ABSOLUTE + PER_CALL * profile.calls:
        return ""
    return (
        f"the operators sum to {time(net)} without the profiler's own time, a run takes {time(latency)}: {off:+.0%}, above {MOST_OFF:.0%}"
    )
