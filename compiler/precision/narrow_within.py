"""Weights of a chosen mixture's floats in 8 bits, as far as the model stays as accurate as it has to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from ...passes.graph.graph import Graph
from ...passes.precision.block_rounding import TO_NEAREST, BlockRounding
from ...passes.precision.narrow_weights import NOWHERE, narrow_weights
from ...passes.precision.scales import Range
from ...targets.model import Target
from ...targets.precision import Form
from ..activity import doing
from .choose import SAMPLES
from .losses import judge_of

TRIES = 16
"""Mixtures that are measured, at most."""


def narrow_within(
    graph: Graph,
    target: Target,
    forms: Mapping[str, Form],
    ranges: Mapping[str, Range],
    samples: Iterable[Mapping[str, Any]],
    least: float,
    devices: Mapping[str, str] = NOWHERE,
    rounding: BlockRounding = TO_NEAREST,
) -> dict[str, Form]:
    """devices: that operators were placed on, by the first tensor that each writes. rounding: of weights in blocks.

    The forms, and of operators in floats weights in 8 bits: of all of them, or of the largest half of them, and so on, as long as the
    cosine with the float model is at least `least` on the calibration samples."""
    offered = {name: form for name, (form, _) in narrow_weights(graph, target, forms, devices).items()}
    judge = judge_of(graph, ranges, islice(samples, SAMPLES), rounding) if offered else None
    kept, pending = dict(forms), [list(offered)] if offered else []
    for _ in range(TRIES):
        if not pending or judge is None:
            break
        names = pending.pop(0)
        wanted = {**kept, **{name: offered[name] for name in names}}
        with doing("measuring what weights in 8 bits lose"):
            accurate = judge.cosine(wanted) >= least
        if accurate:
            kept = wanted
        elif len(names) > 1:
            pending += [names[: len(names) // 2], names[len(names) // 2 :]]
    return kept
