"""Which operator a runtime's own compiler refuses, or computes wrong, in a segment that the target's table allowed.

Each kind of operator of the segment is tried alone, on the values that reach it. If all are fine alone, the shortest run of first
operators that is not fine ends with the culprit: something the compiler does to several together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...targets.exact_condition import exact_condition
from ...targets.formula import Expression, render
from ...targets.model import OperatorRule
from ...targets.operators import key_of, version_at
from ...targets.origin import Origin
from ..devices.adapter import Adapter
from .fault import fault
from .slice_model import all_values, only, signature
from .try_models import ProbeResult, try_models

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    node: str
    operator: str
    reason: str
    """What the runtime said, or how far it is off."""
    deny: OperatorRule

    @property
    def line(self) -> str:
        """What to write into the target's device: "deny { AveragePool where …; }"."""
        condition = "" if self.deny.where is None else f" where {render(self.deny.where)}"
        return f"deny {{ {key_of(self.deny.domain, self.deny.operator)}{condition}; }}"


def find_culprits(
    model: onnx.ModelProto,
    inputs: Mapping[str, Array],
    adapter: Adapter,
    words: Sequence[str],
    tell: Callable[[str], None],
    may_probe: Callable[[int], bool] = lambda models: True,
) -> tuple[Culprit, ...]:
    """The operators at fault, one of each kind; empty if the runtime compiles the segment and, where it can run here, computes it right on
    `inputs`, or if `may_probe(number of models)` does not allow to find out. `model` has its weights inline."""
    values = all_values(model, inputs)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    kinds = {signature(node, values, weights): node for node in reversed(model.graph.node)}
    nodes = [node for node in model.graph.node if any(node is other for other in kinds.values())]
    if not may_probe(len(nodes)):
        return ()
    tell(f"ask {adapter.name} about {len(nodes)} operators")
    alone = [only(model, [node], values) for node in nodes]
    found = []
    for node, small, tried in zip(nodes, alone, _tried(alone, values, adapter, words), strict=True):
        if why := fault(small, values, tried):
            found.append(_culprit(node, values, weights, why, model))
    bisections = len(model.graph.node).bit_length() + 1
    return tuple(found) or (_together(model, values, adapter, words, tell) if may_probe(bisections) else ())


def _tried(models: Sequence[onnx.ModelProto], values: Mapping[str, Array], adapter: Adapter, words: Sequence[str]) -> list[ProbeResult]:
    runs = adapter.missing() is None
    given = [{value.name: values[value.name] for value in small.graph.input} if runs else None for small in models]
    return try_models(adapter, words, list(zip(models, given, strict=True)))


def _together(
    model: onnx.ModelProto, values: Mapping[str, Array], adapter: Adapter, words: Sequence[str], tell: Callable[[str], None]
) -> tuple[Culprit, ...]:
    """The last operator of the shortest run of first operators that is at fault, by bisection; none where the whole is fine."""
    nodes = list(model.graph.node)

    def wrong(count: int) -> str:
        tell(f"ask {adapter.name} about the first {count} operators")
        small = only(model, nodes[:count], values)
        return fault(small, values, _tried([small], values, adapter, words)[0])

    why = wrong(len(nodes))
    if not why:
        return ()
    good, bad = 0, len(nodes)
    while bad - good > 1:
        middle = (good + bad) // 2
        said = wrong(middle)
        good, bad, why = (good, middle, said) if said else (middle, bad, why)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    return (_culprit(nodes[bad - 1], values, weights, f"after the operators before it, {why}", model),)


def _culprit(
    node: onnx.NodeProto, values: Mapping[str, Array], weights: Mapping[str, onnx.TensorProto], reason: str, model: onnx.ModelProto
) -> Culprit:
    domain = "" if node.domain == "ai.onnx" else node.domain
    opset = next((entry.version for entry in model.opset_import if entry.domain == node.domain), 1)
    where = _exactly(node, values, weights, domain, opset)
    rule = OperatorRule(domain=domain, operator=node.op_type, where=where, origin=Origin("probe", 1, 1))
    return Culprit(node=node.name or node.output[0], operator=node.op_type, reason=reason, deny=rule)


def _exactly(
    node: onnx.NodeProto, values: Mapping[str, Array], weights: Mapping[str, onnx.TensorProto], domain: str, opset: int
) -> Expression | None:
    """The condition that holds for operators of these shapes and attributes."""
    from onnx import helper

    version = version_at(key_of(domain, node.op_type), opset)
    shapes = []
    for name, slot in zip(node.input, version.inputs if version is not None else (), strict=False):
        shape = tuple(weights[name].dims) if name in weights else values[name].shape if name in values else None
        if shape:
            shapes.append((slot.name, shape))
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in sorted(node.attribute, key=lambda a: a.name)}
    texts = {name: value.decode("utf-8", "replace") for name, value in given.items() if isinstance(value, bytes)}
    return exact_condition(shapes, {**given, **texts}.items())
