"""Normalisations in primitives, for devices that lack them.

    LayerNormalization   d = x - mean(x);  d / √(mean(d·d) + ε) · scale + bias
    RMSNormalization     x / √(mean(x·x) + ε) · scale
    InstanceNormalization  the same over all axes but the first two, scale and bias constant and per channel
    LpNormalization      x / √(Σ x·x) for p = 2, x / Σ |x| for p = 1
    BatchNormalization   s·x + t, at inference, s and t constant

Where the standard says that statistics are computed in fp32 (stash_type 1) and x is narrower, so does the replacement, between
Casts, and for InstanceNormalization, of which it says nothing, too: squares of fp16 values overflow above 256, and an ε of 1e-12 is
zero in fp16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...targets.dtypes import DTYPE, HALVES
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


@dataclass(frozen=True, slots=True)
class Spelling:
    """How the quotient d/√t is written."""

    name: str
    divide: Callable[[Builder, str, str], str]
    emits: tuple[str, ...]


def _by_root(b: Builder, d: str, t: str) -> str:
    return b.op("Div", d, b.op("Sqrt", t))


def _by_reciprocal(b: Builder, d: str, t: str) -> str:
    return b.mul(d, b.op("Reciprocal", b.op("Sqrt", t)))


def _by_power(b: Builder, d: str, t: str) -> str:
    return b.mul(d, b.op("Pow", t, -0.5))


SPELLINGS = (
    Spelling("div", _by_root, ("Div", "Sqrt")),
    Spelling("reciprocal", _by_reciprocal, ("Reciprocal", "Sqrt")),
    Spelling("pow", _by_power, ("Pow",)),
)


def match(graph: Graph, node: Node) -> Bindings | None:
    """A node whose rank is known; axes are counted from the last."""
    view = graph.tensor(node.inputs[0])
    axis, epsilon = graph.attribute(node, "axis"), graph.attribute(node, "epsilon")
    if view.shape is None or view.dtype not in COMPUTED or not isinstance(axis, int) or not isinstance(epsilon, float):
        return None
    first = axis % len(view.shape) - len(view.shape)
    return Bindings(node, {"epsilon": epsilon, "axes": tuple(range(first, 0))})


def unless(graph: Graph, found: Bindings) -> str | None:
    if any(graph.uses(name) for name in found.root.writes[1:]):
        return "the node's outputs of statistics are used"
    return None


def _normalized(b: Builder, found: Bindings, spelling: Spelling, centred: bool) -> str:
    """Everything but scale and bias, in the dtype of x again."""
    x, axes, stash = found.root.inputs[0], found.integers("axes"), b.graph.attribute(found.root, "stash_type")
    wide = b.within(DTYPE[stash if isinstance(stash, int) else 1]) if b.dtype in HALVES else b
    x = x if wide is b else b.cast(x, wide.dtype)
    d = b.sub(x, b.with_axes("ReduceMean", x, axes, keepdims=1)) if centred else x
    spread = wide.add(b.with_axes("ReduceMean", b.mul(d, d), axes, keepdims=1), found.number("epsilon"))
    result = spelling.divide(wide, d, spread)
    return result if wide is b else b.cast(result, b.dtype)


def _layer(spelling: Spelling) -> Rewrite:
    def build(b: Builder, found: Bindings) -> str:
        result = b.mul(_normalized(b, found, spelling, centred=True), found.root.inputs[1])
        bias = found.root.inputs[2:3]
        return b.add(result, bias[0]) if bias and bias[0] else result

    return Rewrite(
        name=f"layernorm_{spelling.name}",
        summary="LayerNormalization(x, scale, bias) -> (x - mean(x))/√(mean((x - mean(x))²) + ε)·scale + bias",
        operators=("LayerNormalization",),
        emits=("ReduceMean", "Sub", "Mul", "Add", "Cast", *spelling.emits),
        contract=Contract("reassociates"),
        match=match,
        unless=unless,
        build=build,
    )


def _rms(spelling: Spelling) -> Rewrite:
    def build(b: Builder, found: Bindings) -> str:
        return b.mul(_normalized(b, found, spelling, centred=False), found.root.inputs[1])

    return Rewrite(
        name=f"rmsnorm_{spelling.name}",
        summary="RMSNormalization(x, scale) -> x/√(mean(x²) + ε)·scale",
        operators=("RMSNormalization",),
        emits=("ReduceMean", "Mul", "Add", "Cast", *spelling.emits),
        contract=Contract("reassociates"),
        match=match,
        unless=unless,
        build=build,
    )


def match_instance(graph: Graph, node: Node) -> Bindings | None:
    shape, epsilon = graph.tensor(node.inputs[0]).shape, graph.attribute(node, "epsilon")
    constant = all(graph.tensor(name).const for name in node.inputs[1:3])
    if shape is None or len(shape) < 3 or not constant or not isinstance(epsilon, float):
        return None
    if graph.tensor(node.inputs[0]).dtype not in COMPUTED:
        return None
    return Bindings(node, {"epsilon": epsilon, "axes": tuple(range(2 - len(shape), 0))})


def _instance(spelling: Spelling) -> Rewrite:
    def build(b: Builder, found: Bindings) -> str:
        result = _normalized(b, found, spelling, centred=True)
        scale, bias = (b.graph.value(name) for name in found.root.inputs[1:3])
        assert scale is not None and bias is not None, "match() has seen that they are constant"
        shape = (-1,) + (1,) * len(found.integers("axes"))
        return b.add(b.mul(result, b.array(scale.reshape(shape))), b.array(bias.reshape(shape)))

    return Rewrite(
        name=f"instancenorm_{spelling.name}",
        summary="InstanceNormalization(x, scale, bias) -> (x - mean(x))/√(mean((x - mean(x))²) + ε)·scale + bias",
        operators=("InstanceNormalization",),
        emits=("ReduceMean", "Sub", "Mul", "Add", "Cast", *spelling.emits),
        contract=Contract("reassociates"),
        match=match_instance,
        build=build,
    )


def match_lp(graph: Graph, node: Node) -> Bindings | None:
    axis, p = graph.attribute(node, "axis"), graph.attribute(node, "p")
    if graph.tensor(node.inputs[0]).dtype not in COMPUTED or not isinstance(axis, int) or not isinstance(p, int):
        return None
    return Bindings(node, {"axes": (axis,), "p": float(p)})


def build_lp(b: Builder, found: Bindings) -> str:
    x, axes = found.root.inputs[0], found.integers("axes")
    if found.number("p") == 1:
        return b.op("Div", x, b.with_axes("ReduceSum", b.op("Abs", x), axes, keepdims=1))
    length = b.op("Sqrt", b.with_axes("ReduceSum", b.mul(x, x), axes, keepdims=1))
    return b.op("Div", x, length)


LPNORM = Rewrite(
    name="lpnorm_div",
    summary="LpNormalization(x; p) -> x/√(Σx²) for p = 2, x/Σ|x| for p = 1",
    operators=("LpNormalization",),
    emits=("ReduceSum", "Abs", "Mul", "Sqrt", "Div"),
    contract=Contract("reassociates", over="x that is not all zero along the axis"),
    match=match_lp,
    build=build_lp,
)


def match_batch(graph: Graph, node: Node) -> Bindings | None:
    view = graph.tensor(node.inputs[0])
    constant = all(graph.tensor(name).const for name in node.inputs[1:5])
    plain = not graph.attribute(node, "training_mode") and graph.attribute(node, "spatial") != 0
    fits = view.shape is not None and len(view.shape) >= 2 and view.dtype in COMPUTED
    return Bindings(node, {}) if constant and plain and fits else None


def build_batch(b: Builder, found: Bindings) -> str:
    root = found.root
    values = [b.graph.value(name) for name in root.inputs[1:5]]
    scale, bias, mean, var = (value.astype(np.float64) for value in values if value is not None)
    epsilon = b.graph.attribute(root, "epsilon")
    assert isinstance(epsilon, float), "it has a default"
    factor = scale / np.sqrt(var + epsilon)
    shape = (-1,) + (1,) * (len(b.graph.tensor(root.inputs[0]).shape or ()) - 2)
    product = b.mul(root.inputs[0], b.array(factor.reshape(shape)))
    return b.add(product, b.array((bias - mean * factor).reshape(shape)))


BATCHNORM_AFFINE = Rewrite(
    name="batchnorm_affine",
    summary="BatchNormalization(x) -> s·x + t",
    operators=("BatchNormalization",),
    emits=("Mul", "Add"),
    contract=Contract("reassociates"),
    match=match_batch,
    unless=unless,
    build=build_batch,
)
NORMALIZATIONS = (*map(_layer, SPELLINGS), *map(_rms, SPELLINGS), *map(_instance, SPELLINGS), LPNORM, BATCHNORM_AFFINE)
