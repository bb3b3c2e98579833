"""Gives operators that onnxruntime's optimizer fused back their standard form, so that other devices know them again.

com.microsoft Gelu(x)             -> Gelu(x)
com.microsoft BiasGelu(x, b)      -> Gelu(x + b)
com.microsoft FastGelu(x, b)      -> Gelu(x + b, approximate = tanh)        b may be missing
com.microsoft QuickGelu(x; α)     -> Swish(x; α)                            α is 1.702 where it is not given
"""

from __future__ import annotations

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

DOMAIN = "com.microsoft"
QUICK = 1.702
"""Default of QuickGelu's alpha."""


def match(graph: Graph, node: Node) -> Bindings | None:
    return Bindings(node, {"x": node.inputs[0]}) if graph.tensor(node.inputs[0]).dtype not in ("unknown", "fp64") else None


def build_gelu(b: Builder, found: Bindings) -> str:
    root = found.root
    x = b.add(*root.inputs[:2]) if len(root.inputs) > 1 and root.inputs[1] else root.inputs[0]
    return b.op("Gelu", x, approximate="tanh" if root.operator == "FastGelu" else "none")


def build_quick(b: Builder, found: Bindings) -> str:
    alpha = found.root.attribute("alpha")
    return b.op("Swish", found["x"], alpha=alpha if isinstance(alpha, float) else QUICK)


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
