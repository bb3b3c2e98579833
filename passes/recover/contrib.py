"""Gives operators that onnxruntime's optimizer fused back their standard form, so that other devices know them again.

com.microsoft Gelu(x)             -> Gelu(x)
com.microsoft BiasGelu(x, b)      -> Gelu(x + b)
com.microsoft FastGelu(x, b)      -> Gelu(x + b, approximate = tanh)        b may be missing
com.microsoft QuickGelu(x; α)     -> Swish(x; α)                            α is 1.702 where it is not given
com.microsoft SkipLayerNormalization(x, u, s, t, b)        -> LayerNormalization(x + u + b, s, t)      t and b may be missing
com.microsoft SkipSimplifiedLayerNormalization(x, u, s, b) -> RMSNormalization(x + u + b, s)           b may be missing

The last two also give the sum, their fourth result. onnxruntime itself (1.32, CPU) is faster at the parts: 12 us against 64 us.
"""

from __future__ import annotations

from ...targets.dtypes import FLOATS
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

DOMAIN = "com.microsoft"
QUICK = 1.702
"""Default of QuickGelu's alpha."""
SKIP_EPSILON = 1e-12
"""Default of both skipping normalisations."""
BIAS = {"SkipLayerNormalization": 4, "SkipSimplifiedLayerNormalization": 3}
"""Which operand is added to the sum."""


def match(graph: Graph, node: Node) -> Bindings | None:
    return Bindings(node, {"x": node.inputs[0]}) if graph.tensor(node.inputs[0]).dtype not in ("unknown", "fp64") else None


def build_gelu(b: Builder, found: Bindings) -> str:
    root = found.root
    x = b.add(*root.inputs[:2]) if len(root.inputs) > 1 and root.inputs[1] else root.inputs[0]
    return b.op("Gelu", x, approximate="tanh" if root.operator == "FastGelu" else "none")


def build_quick(b: Builder, found: Bindings) -> str:
    alpha = found.root.attribute("alpha")
    return b.op("Swish", found["x"], alpha=alpha if isinstance(alpha, float) else QUICK)


def match_skip(graph: Graph, node: Node) -> Bindings | None:
    """One without statistics, the second and third result; the sum of its operands has the shape of the first."""
    view, other = graph.tensor(node.inputs[0]), graph.tensor(node.inputs[1])
    if view.dtype not in FLOATS or other.dtype != view.dtype or view.shape is None or other.shape is None:
        return None
    statistics = any(name and graph.uses(name) for name in node.outputs[1:3])
    grows = len(other.shape) > len(view.shape) or any(
        extent not in (1, whole) for extent, whole in zip(reversed(other.shape), reversed(view.shape), strict=False)
    )
    return None if statistics or grows else Bindings(node, {"x": node.inputs[0]})


def build_skip(b: Builder, found: Bindings) -> tuple[str, ...]:
    root = found.root
    bias = root.inputs[BIAS[root.operator] :][:1]
    total = b.add(*root.inputs[:2])
    total = b.add(total, bias[0]) if bias and bias[0] else total
    epsilon = root.attribute("epsilon")
    given = {"axis": -1, "epsilon": epsilon if isinstance(epsilon, float) else SKIP_EPSILON}
    if root.operator == "SkipLayerNormalization":
        result = b.op("LayerNormalization", total, *filter(None, root.inputs[2:4]), **given)
    else:
        result = b.op("RMSNormalization", total, root.inputs[2], **given)
    return (result, total, total, total)[: len(root.outputs)]


RECOVER_CONTRIB_GELU = Rewrite(
    name="recover_contrib_gelu",
    summary="com.microsoft Gelu(x), BiasGelu(x, b), FastGelu(x, b) -> Gelu(x + b)",
    operators=tuple(f"{DOMAIN}::{operator}" for operator in ("Gelu", "BiasGelu", "FastGelu")),
    emits=("Gelu", "Add"),
    contract=Contract("reassociates"),
    match=match,
    build=build_gelu,
)
RECOVER_QUICKGELU = Rewrite(
    name="recover_quickgelu",
    summary="com.microsoft QuickGelu(x; α) -> Swish(x; α)",
    operators=(f"{DOMAIN}::QuickGelu",),
    emits=("Swish",),
    contract=Contract("reassociates"),
    match=match,
    build=build_quick,
)
RECOVER_SKIP = tuple(
    Rewrite(
        name=f"recover_{name}",
        summary=f"com.microsoft {operator}(x, u, …) -> {emitted}(x + u, …), and x + u",
        operators=(f"{DOMAIN}::{operator}",),
        emits=(emitted, "Add"),
        contract=Contract("reassociates"),
        match=match_skip,
        build=build_skip,
    )
    for name, operator, emitted in (
        ("skip_layernorm", "SkipLayerNormalization", "LayerNormalization"),
        ("skip_rmsnorm", "SkipSimplifiedLayerNormalization", "RMSNormalization"),
    )
)
