"""The rotary position embedding in primitives, for devices that lack it.

    RotaryEmbedding(x, c, s)  ->  concat(x₁·c - x₂·s, x₁·s + x₂·c, rest of x)

x₁ and x₂ are the halves of the part that is turned, or its even and odd elements. Cosines and sines of given positions are gathered.
"""

from __future__ import annotations

from ..formula.trace import extents
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


def match(graph: Graph, node: Node) -> Bindings | None:
    """The sizes: batch, heads, rows, width, and how much of the width is turned."""
    shape, heads, part = extents(graph, node.inputs[0]), graph.attribute(node, "num_heads"), graph.attribute(node, "rotary_embedding_dim")
    if shape is None or graph.tensor(node.inputs[0]).dtype not in COMPUTED or len(shape) not in (3, 4):
        return None
    if len(shape) == 3:
        if not isinstance(heads, int) or not heads or shape[2] % heads:
            return None
        shape = (shape[0], heads, shape[1], shape[2] // heads)
    turned = part if isinstance(part, int) and part else shape[3]
    caches = [extents(graph, name) for name in node.inputs[1:3]]
    if any(cache is None or cache[-1] != turned // 2 for cache in caches) or turned % 2 or turned > shape[3]:
        return None
    return Bindings(node, {"sizes": (*shape, turned)})


def build(b: Builder, found: Bindings) -> str:
    root = found.root
    batch, heads, rows, width, turned = found.integers("sizes")
    flat = len(b.graph.tensor(root.inputs[0]).shape or ()) == 3
    x = b.reshape(root.inputs[0], (batch, rows, heads, width)) if flat else root.inputs[0]
    positions = root.inputs[3] if len(root.inputs) > 3 else ""
    caches = (b.op("Gather", name, positions, axis=0) if positions else name for name in root.inputs[1:3])
    axis = 2 if flat else 1
    c, s = (b.with_axes("Unsqueeze", name, (axis,)) for name in caches)
    interleaved = bool(b.graph.attribute(root, "interleaved"))
    limits = ((0, turned, 2), (1, turned, 2)) if interleaved else ((0, turned // 2, 1), (turned // 2, turned, 1))
    first, second = (_part(b, x, *limit) for limit in limits)
    real, imaginary = b.sub(b.mul(first, c), b.mul(second, s)), b.add(b.mul(first, s), b.mul(second, c))
    result = _woven(b, real, imaginary, found) if interleaved else ""
    rest = (_part(b, x, turned, width, 1),) if turned < width else ()
    pieces = (result,) if result else (real, imaginary)
    result = b.op("Concat", *pieces, *rest, axis=-1) if len(pieces) + len(rest) > 1 else result
    return b.reshape(result, (batch, rows, heads * width)) if flat else result


def _part(b: Builder, x: str, start: int, stop: int, step: int) -> str:
    return b.op("Slice", x, *(b.integers([number]) for number in (start, stop, 3, step)))


def _woven(b: Builder, even: str, odd: str, found: Bindings) -> str:
    """e₀, o₀, e₁, o₁ …"""
    batch, heads, rows, _, turned = found.integers("sizes")
    flat = len(b.graph.tensor(found.root.inputs[0]).shape or ()) == 3
    both = b.op("Concat", *(b.with_axes("Unsqueeze", part, (4,)) for part in (even, odd)), axis=-1)
    return b.reshape(both, (batch, rows, heads, turned) if flat else (batch, heads, rows, turned))


ROTARY_SLICES = Rewrite(
    name="rotary_slices",
    summary="RotaryEmbedding(x, cos, sin) -> concat(x₁·cos - x₂·sin, x₁·sin + x₂·cos)",
    operators=("RotaryEmbedding",),
    emits=("Slice", "Mul", "Sub", "Add", "Concat", "Unsqueeze", "Reshape", "Gather"),
    contract=Contract("reassociates"),
    match=match,
    build=build,
)
