"""What `autoglmc bench` measured of a bundle: a JSON file that other tools read, and that stands beside predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ..bundle.record import Record

FORMAT = 1


class Times(Record, frozen=True, kw_only=True):
    """Seconds of repeated runs."""

    best: float
    p50: float
    p90: float
    p99: float
    """Where there are fewer than a hundred runs, that of the slowest."""
    mean: float


class SegmentTimes(Record, frozen=True, kw_only=True):
    """One segment over all runs."""

    segment: int
    device: str
    runtime: str
    """What ran it: "ort", or "ort for qnn" for a stand-in."""
    hardware: str
    """What really computed, in the runtime's own words."""
    seconds: Times


class ColdStart(Record, frozen=True, kw_only=True):
    """Seconds from a process that has imported the runtimes to the first outputs."""

    load: float
    """Checking the bundle, creating the sessions, mapping weights, planning no more: what an app waits for before it can ask."""
    first_run: float
    total: float


class Memory(Record, frozen=True, kw_only=True):
    """Bytes of the process that ran it, less what it had before the bundle was loaded; after all runs."""

    private: int
    """Pages of no file, and the arena."""
    mapped: int
    """Pages of files: mapped weights, code of the runtimes; the system may drop them."""
    peak_resident: int
    """The most that the whole process ever had in memory, its own part included."""


class BenchRecord(Record, frozen=True, kw_only=True):
    """One measurement of one bundle."""

    format: int
    bundle: str
    """sha256 of the manifest."""
    model: str
    """sha256 of the model that it was compiled from."""
    target: str
    verified: bool
    """Whether the bundle was verified when it was made."""
    environment: Mapping[str, str]
    """processor, system, python, runtimes with their versions, date."""
    inputs: str
    """Where they come from: "zeros", or the name of a file."""
    emulated: tuple[str, ...]
    """Segments that the CPU computed in the place of their own runtime: times are then not those of the target."""
    warmup: int
    repeat: int
    seconds: Times
    """From inputs in hand to outputs in hand."""
    frames_per_second: float
    """One request after the other: 1 / p50."""
    segments: tuple[SegmentTimes, ...]
    handoffs: float
    """Median seconds of the copies and conversions of a run."""
    cold_start: ColdStart
    memory: Memory | None
    """None where the system does not tell (other than Linux)."""
    predicted: float | None
    """Seconds that the manifest predicts; None where it predicts none for want of rates."""


def times_of(seconds: Sequence[float]) -> Times:
    """Quantiles by rank: each is a time that was measured. Raises ValueError without any."""
    ordered = sorted(seconds)
    if not ordered:
        raise ValueError("no run was timed")

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Times(best=ordered[0], p50=at(0.5), p90=at(0.9), p99=at(0.99), mean=sum(ordered) / len(ordered))


def read_record(text: bytes) -> BenchRecord:
    """Raises ValueError for what is no record, or one of another format."""
    try:
        found = msgspec.json.decode(text, type=BenchRecord)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise ValueError(f"no record of `autoglmc bench`: {problem}") from None
    if found.format != FORMAT:
        raise ValueError(f"a record of format {found.format}; this version reads {FORMAT}")
    return found
