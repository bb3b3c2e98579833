"""The layers that a user names, and the groups of channels that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...passes.prune.groups import Group
from ...passes.prune.spread import Spread
from ..errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import onnx

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
FOLDED = ("BatchNormalization", "Mul", "Add", "Sub", "Div", "Identity")
"""What simplifying puts into the weights of the layer in front, whose result it then writes."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What can be pruned in a model, under the names that the model has."""

    spread: Spread
    groups: tuple[Group, ...]
    writes: Mapping[str, str]
    """By the name of a layer as loaded, what it writes once the model is simplified."""
    other_names: Mapping[str, str]
    """By the tensor that a layer writes, the layer's name."""

    def group(self, name: str) -> int:
        """The number of a layer's group. Raises UsageError for a name that no layer has, and for one that cannot be pruned."""
        layer = self.other_names.get(name, name)
        if layer not in self.writes:
            raise UsageError(f"the model has no layer '{name}' with weights", help=did_you_mean(name, self.writes))
        cells = self._channels(self.writes[layer])
        roots = self.spread.cells.roots(cells)
        for number, group in enumerate(self.groups):
            if np.isin(roots, group.roots).any():
                return number
        why = self.spread.cells.why(int(cells[0])) if len(cells) else "its shape is not known"
        raise UsageError(f"no channel of the layer '{name}' can be removed: {why or 'only all of them together can'}")

    def told(self, group: Group) -> tuple[str, ...]:
        """The names of a group's layers."""
        named = {tensor: name for name, tensor in self.writes.items()}
        return tuple(named.get(site.node, site.node) for site in group.makers)

    def _channels(self, tensor: str) -> np.ndarray:
        producer, axes = self.spread.graph.producer(tensor), self.spread.axes.get(tensor)
        convolves = producer is not None and producer.operator.startswith("Conv")
        cells = None if not axes else axes[1 if convolves else -1]
        return np.array([], np.int64) if cells is None else cells


def layers_of(model: onnx.ModelProto, spread: Spread, groups: Sequence[Group]) -> Layers:
    """model: as loaded."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in dict.fromkeys(node.input):
            readers.setdefault(name, []).append(node)
    writes, others = dict[str, str](), dict[str, str]()
    for node in model.graph.node:
        found = _written(node, readers, spread) if node.op_type in LAYERS and not node.domain else None
        if found is not None:
            writes[node.name or node.output[0]] = found
            others[node.output[0]] = others[found] = node.name or node.output[0]
    return Layers(spread, tuple(groups), writes, others)


def _written(node: onnx.NodeProto, readers: Mapping[str, Sequence[onnx.NodeProto]], spread: Spread) -> str | None:
    """The first result on the way from a layer's own, past what may be in its weights, that such an operator of the graph writes."""
    while node.output:
        producer = spread.graph.producer(node.output[0])
        if producer is not None and producer.operator in LAYERS:
            return str(node.output[0])
        following = readers.get(node.output[0], ())
        if len(following) != 1 or following[0].op_type not in FOLDED:
            return None
        node = following[0]
    return None
