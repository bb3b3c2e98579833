"""What a runtime computes when it loads the model, and what a run then reads of constants."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ...targets.cost import KEPT, weights_read
from ...targets.model import Target
from ...targets.operator_view import OperatorView
from ..graph.constant_cone import computed_once
from ..graph.graph import Graph


def with_constants(view: OperatorView, once: Collection[str]) -> OperatorView:
    """An operator that is computed `once`, when a runtime loads the model, with all its operands constant."""
    if not view.outputs or not all(tensor.name in once for tensor in view.outputs.values()):
        return view
    return replace(view, inputs={label: replace(tensor, const=True) for label, tensor in view.inputs.items()})


def once_in(graph: Graph) -> frozenset[str]:
    """Tensors that a runtime computes when it loads the graph."""
    return computed_once(graph.nodes, lambda name: graph.tensor(name).const, KEPT)


def weights_of(graph: Graph, target: Target, once: Collection[str]) -> float:
    """Bytes of constants that a run reads, as `weights_read` counts them; 0 where no device was measured, and nobody asks."""
    if all(device.calibration is None for device in target.devices):
        return 0.0
    return weights_read(with_constants(graph.view(node), once) for node in graph.nodes)
