"""What a bundle's number formats are, and what they cost in accuracy, for the screen of `autoglmc compile`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..differing_digits import differing
from ..quantities import count, size

Facts = Mapping[str, Any]


def precision_lines(facts: Facts) -> Iterator[str]:
    """facts: the summary of a PrecisionRecord."""
    listed = ", ".join(f"{number} in {form}" for form, number in facts["operators"].items())
    before, after = facts["weight_bytes"]
    saved = f", {1 - after / before:.0%} smaller" if 0 < after < before else ""
    yield f"operators: {listed}; weights {size(before)} -> {size(after)}{saved}"
    if facts["calibration"] is not None:
        found = facts["calibration"]
        yield f"scales: {found['method']} of {count(found['samples'], 'sample')} (sha256 {found['sha256'][:12]}…)"
    for one in facts["accuracy"]:
        yield accuracy_line(one, len(facts["accuracy"]) > 1)


def accuracy_line(one: Facts, several: bool) -> str:
    """facts: an AccuracyRecord. several: whether its output is named."""
    samples = count(one["samples"], "held-out sample" if one["held_out"] else "calibration sample")
    mean, least = differing(one["cosine"], 1.0)[0], differing(one["least_cosine"], 1.0)[0]
    top = "" if one["top1"] is None else f", same largest element {one['top1']:.1%}"
    return f"accuracy on {samples}{' of ' + one['output'] if several else ''}: cosine {mean} (min {least}){top}"
