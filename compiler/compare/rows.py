"""One row of `autoglmc compare`: what a model takes on a target, predicted, and measured where someone did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..bench.record import BenchRecord, read_record
from ..errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What `autoglmc bench` measured on a machine: never mixed with what was predicted."""

    file: str
    processor: str
    latency: float
    """Median seconds."""
    frames_per_second: float
    cold_start: float
    memory: int | None
    """Bytes, private and mapped; None where the system did not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A model on a target."""

    model: str
    target: str
    chip: str
    """What the target says it is."""
    problem: str = ""
    """Why there is no plan, one sentence; then all that follows is empty."""
    latency: float | None = None
    """Seconds, predicted."""
    half_width: float | None = None
    """Share by which nine in ten are off at most; None where the target is not calibrated for the model."""
    frames_per_second: float | None = None
    """One request after the other."""
    peak_memory: float | None = None
    """Bytes, predicted."""
    energy: float | None = None
    """Joules a run; None where the target states no power."""
    package: int | None = None
    operators: tuple[tuple[str, int], ...] = ()
    """Device and how many operators it runs, for those that run any."""
    verified: bool | None = None
    """None where that was not asked for."""
    limits: tuple[str, ...] = ()
    """Limits of the target that the prediction does not prove."""
    measured: tuple[Measured, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Seconds, bytes, joules."""
        return {**asdict(self), "operators": dict(self.operators)}


def row_of(model: str, chip: str, facts: Mapping[str, Any], verified: bool | None, measured: Sequence[Measured]) -> Row:
    """facts: `CompileResult.as_json()`."""
    latency, confidence = facts["latency"]["predicted"], facts["confidence"]
    return Row(
        model=model,
        target=facts["target"],
        chip=chip,
        latency=latency,
        half_width=None if confidence is None else confidence["half_width"],
        frames_per_second=1.0 / latency if latency else None,
        peak_memory=facts["memory"]["peak"],
        energy=facts["energy"]["joules"],
        package=facts["package"]["bytes"],
        operators=tuple((device["name"], device["operators"]) for device in facts["devices"] if device["operators"]),
        verified=verified,
        limits=tuple(limit["name"] for limit in facts["limits"] if limit["unproven"]),
        measured=tuple(measured),
    )


def read_measured(paths: Sequence[Path]) -> dict[tuple[str, str], list[Measured]]:
    """By digest of the model and name of the target. Raises UsageError for a file that is no record, and for one whose segments ran
    elsewhere than on their target."""
    found: dict[tuple[str, str], list[Measured]] = {}
    for path in paths:
        record = _record(path)
        if record.emulated:
            message = f"{path}: segment {', '.join(record.emulated)} ran on the CPU in its place: that is no measurement of {record.target}"
            raise UsageError(message, help="measure it where its runtimes are, without --emulate")
        memory = record.memory
        one = Measured(
            file=path.name,
            processor=record.environment.get("processor", ""),
            latency=record.seconds.p50,
            frames_per_second=record.frames_per_second,
            cold_start=record.cold_start.total,
            memory=None if memory is None else memory.private + memory.mapped,
        )
        found.setdefault((record.model, record.target), []).append(one)
    return found


def _record(path: Path) -> BenchRecord:
    try:
        return read_record(path.read_bytes())
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror or problem}") from None
    except ValueError as problem:
        raise UsageError(f"{path}: {problem}", help="give files that `autoglmc bench --record` wrote") from None
