"""What a bundle's number formats are, and what they cost in accuracy, for the screen of `autoglmc compile`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..differing_digits import differing
from ..quantities import count, size

Facts = Mapping[str, Any]
NO_LOSS = 1e-9
"""An interval as narrow is none."""


def precision_lines(facts: Facts, package: int) -> Iterator[str]:
    """facts: the summary of a PrecisionRecord; package: bytes of the bundle's folder."""
    listed = ", ".join(f"{number} in {form}" for form, number in facts["operators"].items()) or "all in fp32"
    before, after = facts["weight_bytes"]
    yield f"operators: {listed}; weights {size(before)} -> {size(after)}{_smaller(before, after)}"
    if facts["model_bytes"]:
        yield f"files: model {size(facts['model_bytes'])} -> bundle {size(package)}{_smaller(facts['model_bytes'], package)}"
    if facts["calibration"] is not None:
        found = facts["calibration"]
        yield f"scales: {found['method']} of {count(found['samples'], 'sample')} (sha256 {found['sha256'][:12]}…)"
    for one in facts["accuracy"]:
        yield accuracy_line(one, len(facts["accuracy"]) > 1)


def _smaller(before: int, after: int) -> str:
    return f", {1 - after / before:.0%} smaller" if 0 < after < before else ""


def score_lines(scores: Sequence[Facts]) -> Iterator[str]:
    """What functions of the user's say of the bundle. scores: of ScoreRecords."""
    for one in scores:
        numbers = "" if one["samples"] == 1 else f" on {count(one['samples'], 'sample')}"
        if one["before"] is None:
            yield f"{one['script']}{numbers}: {one['after']:.4g}{_interval(one['interval'], '.4g')}"
            continue
        before, after = differing(one["before"], one["after"])
        change = one["after"] - one["before"]
        yield f"{one['script']}{numbers}: {before} in fp32, {after} in the bundle: {change:+.3g}{_interval(one['interval'], '+.3g')}"


def _interval(found: Sequence[float] | None, digits: str) -> str:
    """` (95 %: -0.012 to +0.001)`."""
    return "" if found is None else f" (95 %: {found[0]:{digits}} to {found[1]:{digits}})"


def accuracy_line(one: Facts, several: bool) -> str:
    samples = count(one["samples"], "held-out sample" if one["held_out"] else "calibration sample")
    mean, least = differing(one["cosine"], 1.0)[0], differing(one["least_cosine"], 1.0)[0]
    return f"accuracy on {samples}{' of ' + one['output'] if several else ''}: cosine {mean} ({_sure(one)}min {least}){_top1(one)}"


def _sure(one: Facts) -> str:
    """`95 %: 0.9987 to 0.9992; ` with as many digits as make the ends differ."""
    found = one["cosine_interval"]
    return "" if found is None or found[1] - found[0] < NO_LOSS else f"95 %: {' to '.join(differing(*found))}; "


def _top1(one: Facts) -> str:
    if one["top1"] is None:
        return ""
    found = one["top1_interval"]
    sure = "" if found is None or one["samples"] == 1 else f" (95 %: {found[0]:.1%} to {found[1]:.1%})"
    return f", same largest element {one['top1']:.1%}{sure}"
