"""What issue 14 demands, decided by what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .statistics import Interval, difference, mean

FP32, OURS = "fp32", "ours "
SMALLEST = 1e-9


@dataclass(frozen=True, slots=True)
class Row:
    """One side's model of a task, measured."""

    name: str
    form: str
    """A uniform format, or `mixed`."""
    megabytes: float
    scores: np.ndarray
    speed: Interval | None = None
    """fp32's time through its own."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line: what is demanded, whether it holds, and the numbers."""

    demand: str
    holds: bool | None
    """None where the side that is judged does not exist yet."""
    found: str


@dataclass(frozen=True, slots=True)
class Controls:
    """Scores that must be bad."""

    wrong: Mapping[str, np.ndarray]
    """By side, calibrated with data of another kind."""
    shuffled: np.ndarray
    """fp32 against the labels of other samples."""


ENCODER_DROP, ENCODER_MEGABYTES = 0.005, 34.8
OCR_DROP, OCR_SHARE = 0.005, 0.27
INT8_SPEED = 1.5


def verdicts(task: str, least: float, rows: Sequence[Row], controls: Controls) -> Iterator[Verdict]:
    """Every demand that this task can decide."""
    by_name = {row.name: row for row in rows}
    exact = by_name[FP32]
    yield Verdict(f"fp32 is right at least {least:.0%} of the time", exact.scores.mean() >= least, f"{exact.scores.mean():.3f}")
    yield from _controls(least, by_name, controls)
    peers = [row for row in rows if row.form == "int8" and not row.name.startswith(OURS)]
    yield _uniform(peers, by_name.get(OURS + "int8"))
    yield _mixed(rows, by_name.get(OURS + "auto"))
    if task == "news":
        yield _close(exact, by_name.get(OURS + "auto"), ENCODER_DROP, ENCODER_MEGABYTES)
        yield _fast(peers, by_name.get(OURS + "int8"))
    if task == "ocr":
        yield _close(exact, by_name.get(OURS + "auto"), OCR_DROP, OCR_SHARE * exact.megabytes)


def _controls(least: float, rows: Mapping[str, Row], controls: Controls) -> Iterator[Verdict]:
    for side, scores in controls.wrong.items():
        worse = difference(scores, rows[side].scores)
        yield Verdict(f"control: {side}, calibrated with data of another kind, does worse", worse.high < 0, signed(worse))
    chance = mean(controls.shuffled)
    yield Verdict(
        f"control: against shuffled labels fp32 is right less than {least:.0%} of the time", chance.high < least, f"{chance.middle:.3f}"
    )


def _uniform(peers: Sequence[Row], ours: Row | None) -> Verdict:
    demand = "uniform int8: at least as accurate as the best peer's, at no larger size"
    if ours is None:
        return Verdict(demand, None, "ours int8 is not built yet")
    if not peers:
        return Verdict(demand, False, "no peer made an int8 model: nothing to hold it against")
    best = max(peers, key=lambda row: row.scores.mean())
    apart = difference(ours.scores, best.scores)
    holds = apart.high >= 0 and ours.megabytes <= best.megabytes
    return Verdict(demand, holds, f"{signed(apart)} to {best.name}, {ours.megabytes:.1f} MB against {best.megabytes:.1f}")


def _mixed(rows: Sequence[Row], ours: Row | None) -> Verdict:
    demand = "mixed: no uniform choice is both as small and as accurate, beyond the interval"
    if ours is None:
        return Verdict(demand, None, "ours auto is not built yet")
    better = [
        row.name
        for row in rows
        if row.name not in (ours.name, FP32) and row.megabytes <= ours.megabytes and difference(ours.scores, row.scores).low <= SMALLEST
    ]
    return Verdict(demand, not better, f"as good: {', '.join(better)}" if better else f"{ours.megabytes:.1f} MB, {ours.scores.mean():.3f}")


def _close(exact: Row, ours: Row | None, drop: float, megabytes: float) -> Verdict:
    demand = f"mixed: within {drop * 100:.1f} points of fp32 in at most {megabytes:.1f} MB"
    if ours is None:
        return Verdict(demand, None, "ours auto is not built yet")
    apart = difference(ours.scores, exact.scores)
    return Verdict(demand, apart.middle >= -drop and ours.megabytes <= megabytes, f"{signed(apart)}, {ours.megabytes:.1f} MB")


def _fast(peers: Sequence[Row], ours: Row | None) -> Verdict:
    demand = f"x86_cpu: int8 at least {INT8_SPEED} times as fast as fp32, and as the best peer's int8"
    if ours is None or ours.speed is None:
        return Verdict(demand, None, "ours int8 is not built yet")
    best = max((row.speed.middle for row in peers if row.speed), default=0.0)
    return Verdict(
        demand, ours.speed.middle >= INT8_SPEED and ours.speed.high >= best, f"{ours.speed.middle:.2f} times, best peer {best:.2f}"
    )


def signed(interval: Interval) -> str:
    """In points, with the interval."""
    return f"{interval.middle * 100:+.1f} [{interval.low * 100:+.1f}, {interval.high * 100:+.1f}] points"
