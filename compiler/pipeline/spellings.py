"""Other spellings of a model, taken where they make the placement cheaper: both graphs are placed, and the cheaper one stays, the
model's own unless the other is clearly cheaper.

In floats: a device without integers (the Neural Engine) can run nothing of a model between QuantizeLinear and DequantizeLinear as it
stands. With weights stored as floats and roundings written as arithmetic it can, for a larger bundle.

In floats beside weights in integers: a device without DynamicQuantizeLinear, or without Gather on bytes (Hexagon), runs MatMul and Gather
on what DequantizeLinear makes of a weight.

On fewer axes: a device of rank 4 refuses each layer of a decoder whose exporter repeats keys and values over five.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...passes.library import BESIDE_FLOATS, IN_FLOATS, ON_FEWER_AXES
from ...passes.rule.rewrite import Rewrite
from .take_cheaper import take_cheaper
from .work import Work

LEAST_GAIN = 0.01
"""Part of the predicted time below which the model stays as it is written: runtimes know the spelling of exporters."""


def write_in_floats(work: Work) -> None:
    """Leaves the work as it is where the model is not quantised, only one device is there, or the placement is no cheaper."""
    if len(work.target.devices) > 1:
        _spell(work, work.enabled(IN_FLOATS))


def keep_floats(work: Work) -> None:
    """Leaves the work as it is where nothing is quantised on the run and no table is in integers, only one device is there, or the
    placement is no cheaper."""
    if len(work.target.devices) > 1:
        _spell(work, work.enabled(BESIDE_FLOATS))


def lower_ranks(work: Work) -> None:
    """Leaves the work as it is where no device has a limit on the rank that a tensor is beyond, or the placement is no cheaper."""
    most = min((device.max_rank for device in work.target.devices if device.max_rank is not None), default=None)
    names = (name for node in work.graph.nodes for name in node.writes)
    if most is not None and any(len(work.graph.tensor(name).shape or ()) > most for name in names):
        _spell(work, work.enabled(ON_FEWER_AXES))


def _spell(work: Work, rules: Sequence[Rewrite]) -> None:
    if any(rule.find(work.graph, node) for rule in rules for node in work.graph.nodes):
        take_cheaper(work, rules, lambda as_is, other: other <= as_is * (1 - LEAST_GAIN))
