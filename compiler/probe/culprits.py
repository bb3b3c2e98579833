"""Which operator a runtime's own compiler refuses, or computes wrong, in a segment that the target's table allowed.

A segment that was compiled is held against its own float64 evaluation first: where it is right up to what its precision explains, nobody is
to blame. Else each kind of operator is tried as a unit (units.py), on the values that reach it; one that is refused is tried again with the
units next to it, since a compiler may take only in company what it computes anyway. If all are fine, the shortest run of first
operators that is not fine ends with the culprit: something the compiler does to several together. What was found is tried again on
fresh inputs: only what is at fault there too is worth a line in a target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...targets.exact_condition import exact_condition
from ...targets.formula import Expression, render
from ...targets.model import OperatorRule
from ...targets.operators import key_of, version_at
from ...targets.origin import Origin
from ..devices.adapter import Adapter
from .confirm import fresh_values
from .fault import fault
from .slice_model import all_values, only, signature
from .try_models import ProbeResult, try_models
from .units import Units

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
    confirmed: bool = True
    """Whether it was at fault on fresh inputs, too."""

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
    *,
    compiled: bool = False,
) -> tuple[Culprit, ...]:
    """The operators at fault, one of each kind; empty if the runtime compiles the segment and, where it can run here, computes it right on
    `inputs`, or if `may_probe(number of models)` does not allow to find out. `model` has its weights inline. compiled: the runtime
    took the segment as a whole, so that refusing an operator alone proves nothing."""
    probe = _Probe(model, all_values(model, inputs), adapter, words, tell, may_probe)
    parts = probe.kinds()
    if compiled and not (may_probe(1) and probe.faults([list(model.graph.node)])[0]):
        return ()
    if not may_probe(len(parts)):
        return ()
    tell(f"ask {adapter.name} about {len(parts)} operators")
    said = probe.faults([part.nodes for part in parts], ignoring=_no_evidence if compiled else _constant)
    found = [(part, why) for part, why in zip(parts, said, strict=True) if why]
    if not compiled:
        found = probe.refused_in_company(found)
    if not found:
        found = probe.together() if may_probe(len(model.graph.node).bit_length() + 1) else []
    confirmed = probe.confirmed([part.nodes for part, _ in found], inputs)
    return tuple(probe.culprit(part.operator, why, sure) for (part, why), sure in zip(found, confirmed, strict=True))


def find_crashing(
    model: onnx.ModelProto,
    shapes: Mapping[str, Array],
    adapter: Adapter,
    words: Sequence[str],
    tell: Callable[[str], None],
    may_probe: Callable[[int], bool],
) -> tuple[Culprit, ...]:
    """The operators on which the runtime's compiler crashes by themselves, one of each kind, none where it crashes on all of several; else
    the last one of the shortest run of first operators on which it does; empty where it does not, or may not be asked. `shapes`: arrays of
    the tensors' shapes and dtypes."""
    probe = _Probe(model, shapes, adapter, words, tell, may_probe)
    parts = probe.kinds()
    if not may_probe(len(parts)):
        return ()
    tell(f"ask {adapter.name} about {len(parts)} operators")
    said = probe.crashes([part.nodes for part in parts])
    found = [(part, why) for part, why in zip(parts, said, strict=True) if why]
    if len(found) == len(parts) > 1:
        return ()
    if not found and may_probe(len(model.graph.node).bit_length() + 1):
        found = probe.together(probe.crashes)
    return tuple(probe.culprit(part.operator, why, True) for part, why in found)


def _no_evidence(small: onnx.ModelProto, tried: ProbeResult) -> bool:
    """A refusal of a part of what was compiled as a whole."""
    return not tried.accepted


def _constant(small: onnx.ModelProto, tried: ProbeResult) -> bool:
    """A graph without inputs is no operator that a runtime would be given."""
    return not small.graph.input


@dataclass(frozen=True, slots=True)
class _Part:
    """What is tried, and the operator that is to blame if it fails."""

    operator: onnx.NodeProto
    nodes: Sequence[onnx.NodeProto]


@dataclass(frozen=True)
class _Probe:
    """One segment and the runtime that is asked about parts of it."""

    model: onnx.ModelProto
    values: Mapping[str, Array]
    adapter: Adapter
    words: Sequence[str]
    tell: Callable[[str], None]
    may_probe: Callable[[int], bool]

    @cached_property
    def units(self) -> Units:
        return Units(self.model.graph.node, {tensor.name for tensor in self.model.graph.initializer})

    def kinds(self) -> list[_Part]:
        """The first unit of every kind that a compiler tells apart, in order."""
        weights = {tensor.name: tensor for tensor in self.model.graph.initializer}
        kinds: dict[tuple[str, ...], _Part] = {}
        for node in self.units.computing():
            nodes = self.units.whole(node)
            kinds.setdefault(tuple(signature(member, self.values, weights) for member in nodes), _Part(node, nodes))
        return list(kinds.values())

    def refused_in_company(self, found: Sequence[tuple[_Part, str]]) -> list[tuple[_Part, str]]:
        """Those of the faults that are still there when the unit is tried with the units next to it."""
        if not found or not self.may_probe(len(found)):
            return list(found)
        said = self.faults([self.units.around(part.nodes) for part, _ in found])
        return [fault for fault, why in zip(found, said, strict=True) if why]

    def faults(
        self,
        parts: Sequence[Sequence[onnx.NodeProto]],
        ignoring: Callable[[onnx.ModelProto, ProbeResult], bool] = lambda small, tried: False,
        values: Mapping[str, Array] | None = None,
    ) -> list[str]:
        """Why the runtime cannot be trusted with each part; "" where it can, or where what it said is no evidence."""
        values = self.values if values is None else values
        models = [only(self.model, part, values) for part in parts]
        answers = _tried(models, values, self.adapter, self.words)
        pairs = zip(models, answers, strict=True)
        return ["" if ignoring(small, tried) else fault(small, values, tried, bool(self.adapter.narrow)) for small, tried in pairs]

    def crashes(self, parts: Sequence[Sequence[onnx.NodeProto]]) -> list[str]:
        """How the compiler crashes on each part; "" where it does not."""
        tried = try_models(self.adapter, self.words, [(only(self.model, part, self.values), None) for part in parts])
        return [answer.message if answer.crashed else "" for answer in tried]

    def together(self, judge: Callable[[Sequence[Sequence[onnx.NodeProto]]], list[str]] | None = None) -> list[tuple[_Part, str]]:
        """The shortest run of first operators that is at fault, by bisection; none where the whole is fine. judge: in place of `faults`."""
        nodes, judge = self.units.computing(), judge or self.faults

        def wrong(count: int) -> str:
            self.tell(f"ask {self.adapter.name} about the first {count} operators")
            return judge([self.units.first(count) if count < len(nodes) else self.model.graph.node])[0]

        why = wrong(len(nodes))
        if not why:
            return []
        good, bad = 0, len(nodes)
        while bad - good > 1:
            middle = (good + bad) // 2
            said = wrong(middle)
            good, bad, why = (good, middle, said) if said else (middle, bad, why)
        return [(_Part(nodes[bad - 1], self.units.first(bad)), f"after the operators before it, {why}")]

    def confirmed(self, parts: Sequence[Sequence[onnx.NodeProto]], inputs: Mapping[str, Array]) -> list[bool]:
        """Whether each part is at fault on every fresh set of inputs; no, where that may not be asked."""
        sure, asked = [True] * len(parts), False
        if not parts:
            return []
        for values in fresh_values(self.model, inputs):
            if not self.may_probe(len(parts)):
                return [False] * len(parts)
            asked = True
            again = self.faults(parts, values=values)
            sure = [was and bool(why) for was, why in zip(sure, again, strict=True)]
        return sure if asked else [False] * len(parts)

    def culprit(self, node: onnx.NodeProto, reason: str, confirmed: bool) -> Culprit:
        weights = {tensor.name: tensor for tensor in self.model.graph.initializer}
        domain = "" if node.domain == "ai.onnx" else node.domain
        opset = next((entry.version for entry in self.model.opset_import if entry.domain == node.domain), 1)
        where = _exactly(node, self.values, weights, domain, opset)
        rule = OperatorRule(domain=domain, operator=node.op_type, where=where, origin=Origin("probe", 1, 1))
        return Culprit(node=node.name or node.output[0], operator=node.op_type, reason=reason, deny=rule, confirmed=confirmed)


def _tried(models: Sequence[onnx.ModelProto], values: Mapping[str, Array], adapter: Adapter, words: Sequence[str]) -> list[ProbeResult]:
    runs = adapter.missing() is None
    given = [{value.name: values[value.name] for value in small.graph.input} if runs else None for small in models]
    return try_models(adapter, words, list(zip(models, given, strict=True)))


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
