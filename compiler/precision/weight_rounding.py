"""How weights in blocks are rounded: to the nearest step, or so that products with calibration samples change least."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Literal, get_args

import numpy as np

from ...passes.graph.graph import Graph
from ...passes.graph.node import Node
from ...passes.precision.block_rounding import BlockRounding
from ...passes.precision.operators import inner_axis
from ...passes.precision.unit_forms import unit_forms
from ...targets.model import Target
from ..activity import doing
from ..errors import UsageError, did_you_mean
from .ranges import values_of

WeightsMethod = Literal["rtn", "gptq"]
WEIGHTS_METHODS: tuple[WeightsMethod, ...] = get_args(WeightsMethod)
MOST_CHANNELS = 4096
"""Of more, products are not taken (134 MB): their weights are rounded to the nearest step."""


def check_weights_method(name: str) -> WeightsMethod:
    """Raises UsageError for a name of no method."""
    for method in WEIGHTS_METHODS:
        if method == name:
            return method
    raise UsageError(
        f"'{name}' is not a way to round weights", help=did_you_mean(name, WEIGHTS_METHODS) or f"one of {', '.join(WEIGHTS_METHODS)}"
    )


def block_rounding(graph: Graph, target: Target, samples: Iterable[Mapping[str, Any]]) -> BlockRounding | None:
    """For the matrices that a device of the target reads in blocks; None where none is. Raises ModelError where the model does not run."""
    offered = unit_forms(graph, target)
    blocks = {name for name, devices in offered.items() if any(form.block for forms in devices.values() for form in forms)}
    wanted = tuple(
        dict.fromkeys(node.inputs[0] for node in graph.nodes if node.writes and node.writes[0] in blocks and is_product(graph, node))
    )
    if not wanted:
        return None
    kept, found = tuple(samples), dict[str, np.ndarray]()
    given, made = (tuple(name for name in wanted if (name in graph.inputs) is of_model) for of_model in (True, False))
    with doing("measuring what weights are multiplied with"):
        each = ({name: sample[name] for name in given} for sample in kept)
        for arrays in chain(each, (values for _, values in values_of(graph, made, lambda: iter(kept)))):
            for name, array in arrays.items():
                rows = array.reshape(-1, array.shape[-1]).astype(np.float64)
                found[name] = found.get(name, 0.0) + rows.T @ rows
    return BlockRounding({name: one for name, one in found.items() if np.isfinite(one).all()})


def is_product(graph: Graph, node: Node) -> bool:
    """Whether the last axis of what it reads, which varies, is what its matrix sums over."""
    plain = graph.attribute(node, "transA") in (None, 0) and node.inputs[0] not in graph.constants
    axis = inner_axis(graph, node, 1)
    return plain and axis is not None and 0 < ((graph.tensor(node.inputs[1]).shape or ())[axis] or 0) <= MOST_CHANNELS
