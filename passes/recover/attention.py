"""Recognises scaled dot-product attention written out.

    softmax(c·Q·Kᵀ + mask)·V                             ->  Attention(Q, K, V, mask; scale = c)                    opset 23
    softmax(p·tanh(c·Q·Kᵀ/p) + mask)·V                   ->  the same with softcap = p
    K and V of fewer heads, each repeated for its group  ->  Attention of the heads that there are

The factor c may stand at Q, at K, at the product or at several of them, as Mul or Div. Where(m, c·Q·Kᵀ, -big) is a mask of 0 and -big:
added to a score, -big leaves nothing of it. Where a mask leaves no position of a row open, the two differ (formula/closed_rows.py): a
constant mask that does so is left alone, one that is computed is outside the contract. Tensors of rank 3 are one head.

On onnxruntime (1.32, CPU, one thread, fp32) the operator took 0.35 to 0.96 of the parts' time in 9 shapes of rank 4 (1 to 512 rows, 4 to
16 heads 15 to 128 wide; 4 heads of 32 rows: 16.5 instead of 18.5 µs), on rows, without transposes, 0.33 to 0.88, and in fp16 up to 1.10.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from ..formula.closed_rows import CLOSED, closes_a_row, unguarded
from ..formula.pattern import Value
from ..formula.region import Reader
from ..formula.trace import Extents, broadcasts, extents, multiple
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

HEADS = 1


@dataclass(slots=True)
class _Scores:
    """What stands between the first product and the softmax."""

    factor: float = 1.0
    softcap: float = 0.0
    added: list[str] = field(default_factory=list)
    filled: list[tuple[str, float, bool]] = field(default_factory=list)
    """(condition, the number put in, whether the condition is true where it is put)."""


def match(graph: Graph, node: Node) -> Bindings | None:
    """From the last product back: softmax, masks and factors, the first product, the heads' repetition."""
    reader, shape = Reader(graph), extents(graph, node.outputs[0])
    if shape is None or len(shape) not in (3, 4):
        return None
    softmax = _softmax(reader, node.inputs[0])
    if softmax is None:
        return None
    scores = _Scores()
    product = _first_product(reader, softmax, scores)
    sides = None if product is None else _sides(reader, product, scores)
    if product is None or sides is None:
        return None
    q, k, order = sides
    values: dict[str, Value] = {"q": q, "k": k, "v": reader.resolve(node.inputs[1]), "order": order}
    values |= {"scale": scores.factor, "softcap": scores.softcap, "scores": product.outputs[0]}
    values |= {f"mask{n}": name for n, name in enumerate(scores.added)}
    for n, (condition, number, inside) in enumerate(scores.filled):
        values |= {f"open{n}": condition, f"fill{n}": number, f"inside{n}": int(inside)}
    return _shared(reader, Bindings(node, values))


def _softmax(reader: Reader, tensor: str) -> str | None:
    """What the softmax over the last axis is of; the rows before it may be flattened around it."""
    graph, (around, uses) = reader.graph, unguarded(reader, reader.resolve(tensor))
    node = graph.producer(around)
    while node is not None and node.kind == "Reshape" and graph.uses(around) == 1:
        around, uses = reader.resolve(node.inputs[0]), 1
        node = graph.producer(around)
    if node is None or node.kind != "Softmax" or graph.uses(around) != uses or graph.opset < 13:
        return None
    before, inside, axis = extents(graph, tensor), extents(graph, node.inputs[0]), graph.attribute(node, "axis")
    if not before or not inside or not isinstance(axis, int) or axis % len(inside) != len(inside) - 1 or before[-1] != inside[-1]:
        return None
    scores = reader.resolve(node.inputs[0])
    if inside != before:
        flat = graph.producer(scores)
        if flat is None or flat.kind not in ("Reshape", "Flatten") or extents(graph, flat.inputs[0]) != before or graph.uses(scores) != 1:
            return None
        scores = reader.resolve(flat.inputs[0])
    return scores


def _first_product(reader: Reader, tensor: str, scores: _Scores) -> Node | None:
    """Back from the softmax to Q·Kᵀ, noting masks, then the cap and factors; every tensor on the way is read once."""
    graph, masks_over = reader.graph, False
    for _ in range(12):
        if graph.uses(tensor) != 1:
            return None
        source, factor = multiple(reader, tensor)
        if source != tensor:
            capped = None if scores.softcap else _capped(reader, source, factor)
            if capped is not None:
                scores.softcap = factor
            masks_over = True
            tensor, factor = capped or (source, factor)
            scores.factor *= factor
            continue
        node = graph.producer(tensor)
        if node is None or node.domain or node.operator == "MatMul":
            return None if node is None or node.domain else node
        following = None if masks_over else _masked(reader, node, scores)
        if following is None:
            return None
        tensor = following
    return None


def _capped(reader: Reader, tensor: str, factor: float) -> tuple[str, float] | None:
    """(s, c) where factor · tensor is p·tanh(c·s/p), p the factor."""
    node = reader.graph.producer(tensor)
    if node is None or node.kind != "Tanh" or reader.graph.uses(tensor) != 1 or factor <= 0:
        return None
    inner, inverse = multiple(reader, node.inputs[0])
    return inner, inverse * factor


def _masked(reader: Reader, node: Node, scores: _Scores) -> str | None:
    """The scores under one mask."""
    graph, shape = reader.graph, extents(reader.graph, node.outputs[0])
    if shape is None:
        return None
    if node.operator == "Where":
        for place, other, inside in ((1, 2, False), (2, 1, True)):
            number = reader.number(reader.resolve(node.inputs[other]))
            if number is not None and number <= CLOSED and _leads_back(reader, node.inputs[place], shape):
                scores.filled.append((node.inputs[0], number, inside))
                return reader.resolve(node.inputs[place])
    if node.operator == "Add":
        for tensor, mask in (node.inputs, reversed(node.inputs)):
            if _leads_back(reader, tensor, shape) and broadcasts(graph.tensor(mask).shape, shape):
                scores.added.append(mask)
                return reader.resolve(tensor)
    return None


def _leads_back(reader: Reader, tensor: str, shape: Extents) -> bool:
    """Whether the operand is the scores rather than a mask: computed, of the full shape, and on the way to a product."""
    graph = reader.graph
    for _ in range(12):
        tensor = multiple(reader, tensor)[0]
        node = graph.producer(tensor)
        if node is None or node.domain or extents(graph, tensor) != shape:
            return False
        if node.operator == "MatMul":
            return True
        if node.operator == "Tanh":
            tensor = node.inputs[0]
        elif node.operator == "Add":
            first = graph.producer(multiple(reader, node.inputs[0])[0])
            tensor = node.inputs[0] if first is not None and first.operator in ("Add", "MatMul", "Tanh", "Where") else node.inputs[1]
        elif node.operator == "Where":
            tensor = node.inputs[2] if reader.number(reader.resolve(node.inputs[1])) is not None else node.inputs[1]
        else:
            return False
    return False


def _sides(reader: Reader, product: Node, scores: _Scores) -> tuple[str, str, tuple[int, ...]] | None:
    """(Q, what K is transposed from, how), and their factors taken up in `scores`."""
    q, left = multiple(reader, product.inputs[0], positive=True)
    transposed, right = multiple(reader, product.inputs[1], positive=True)
    node = reader.graph.producer(transposed)
    order = node.attribute("perm") if node is not None and node.kind == "Transpose" else None
    if node is None or not isinstance(order, tuple) or len(order) != len(extents(reader.graph, product.outputs[0]) or ()):
        return None
    k, inner = multiple(reader, node.inputs[0], positive=True)
    scores.factor *= left * right * inner
    perm = tuple(int(axis) for axis in order if isinstance(axis, int))
    return q, k, (*perm[:-2], perm[-1], perm[-2])


def _shared(reader: Reader, found: Bindings) -> Bindings:
    """With K and V before they were repeated for groups of heads, where both are."""
    order = found.integers("order")
    if order == tuple(range(len(order))):
        k, v = _unrepeated(reader, found["k"]), _unrepeated(reader, found["v"])
        if k and v and (extents(reader.graph, k) or ())[:-1] == (extents(reader.graph, v) or ())[:-1]:
            return replace(found, values={**found.values, "k": k, "v": v})
    return found


def _unrepeated(reader: Reader, tensor: str) -> str | None:
    """K of [B, G, L, D] where the tensor of [B, G·n, L, D] has each of its heads n times in a row."""
    graph, shape = reader.graph, extents(reader.graph, tensor)
    node = graph.producer(tensor)
    if shape is None or len(shape) != 4 or node is None or node.domain:
        return None
    if node.operator != "Reshape":
        source = _repeated(reader, node, HEADS)
        return source if source and (extents(graph, source) or (0, 0))[HEADS] == 1 else None
    wide = extents(graph, node.inputs[0])
    if wide is None or len(wide) != 5 or wide[1] * wide[2] != shape[1] or (wide[0], *wide[3:]) != (shape[0], *shape[2:]):
        return None
    inner = graph.producer(reader.resolve(node.inputs[0]))
    single = _repeated(reader, inner, 2) if inner is not None else None
    unit = graph.producer(single) if single else None
    if single is None or unit is None or unit.kind not in ("Unsqueeze", "Reshape") or (extents(graph, single) or (0,) * 3)[2] != 1:
        return None
    source = reader.resolve(unit.inputs[0])
    return source if extents(graph, source) == (wide[0], wide[1], *wide[3:]) else None


def _repeated(reader: Reader, node: Node, axis: int) -> str | None:
    """What Expand, Tile or Concat repeats along `axis`, where its extent is 1, and along no other."""
    graph, shape = reader.graph, extents(reader.graph, node.outputs[0])
    source = reader.resolve(node.inputs[0])
    before = extents(graph, source)
    if node.domain or shape is None or before is None or len(before) != len(shape) or before[axis] != 1:
        return None
    if any(a != b for k, (a, b) in enumerate(zip(before, shape, strict=True)) if k != axis):
        return None
    if node.operator in ("Expand", "Tile"):
        return source
    same = node.operator == "Concat" and all(reader.resolve(name) == source for name in node.inputs)
    return source if same else None


def unless(graph: Graph, found: Bindings) -> str | None:
    q, k, v, scores = (extents(graph, found[name]) for name in ("q", "k", "v", "scores"))
    order = found.integers("order")
    if q is None or k is None or v is None or scores is None or not len(q) == len(k) == len(v) == len(order):
        return "the shapes of Q, K and V are not known, or their rank is not that of the scores"
    k = tuple(k[axis] for axis in order)
    if q[0] != k[0] or q[0] != v[0] or k[-2] != v[-2] or q[-1] != k[-1]:
        return "Q, K and V differ in batch size, or K and V in length"
    if len(q) == 4 and (k[1] != v[1] or q[1] % k[1] or scores[1] != q[1]):
        return f"{q[1]} heads of Q cannot share {k[1]} of K and {v[1]} of V"
    if len({graph.tensor(found[name]).dtype for name in ("q", "k", "v")}) > 1 or graph.tensor(found["q"]).dtype not in ("fp32", "fp16"):
        return "Q, K and V are not all fp32 or all fp16"
    if found.number("scale") <= 0:
        return f"the factor {found.number('scale'):g} is not positive"
    return _unless_masks(graph, found, scores)


def _unless_masks(graph: Graph, found: Bindings, scores: Extents) -> str | None:
    shapes = [graph.tensor(found[name]).shape for name in found.values if name.startswith(("mask", "open"))]
    if len(scores) == 3 and any(len(shape or ()) > 2 for shape in shapes):
        return "the mask has an axis that the operator would read as heads"
    if not all(broadcasts(shape, scores) for shape in shapes):
        return "the mask broadcasts the scores to a larger shape"
    added = [array for name in found.values if name.startswith("mask") and (array := graph.value(found[name])) is not None]
    filled = [(n, array) for n in range(len(found.values)) if f"open{n}" in found and (array := graph.value(found[f"open{n}"])) is not None]
    closed = [array if found.number(f"inside{n}") else ~array for n, array in filled]
    return "a constant mask closes a whole row" if closes_a_row(scores, added, closed) else None


def unless_single(graph: Graph, found: Bindings) -> str | None:
    if graph.tensor(found["q"]).dtype != "fp32":
        return "in fp16 onnxruntime is not always faster with the whole operator"
    return unless(graph, found)


def build(b: Builder, found: Bindings) -> str:
    order, scores = found.integers("order"), extents(b.graph, found["scores"]) or ()
    k = found["k"] if order == tuple(range(len(order))) else b.op("Transpose", found["k"], perm=order)
    inputs = [found["q"], k, found["v"], *filter(None, [_mask(b, found, scores)])]
    attributes: dict[str, int | float] = {"scale": found.number("scale")}
    if found.number("softcap"):
        attributes["softcap"] = found.number("softcap")
    if len(order) == 3:
        attributes |= {"q_num_heads": 1, "kv_num_heads": 1}
    return b.op("Attention", *inputs, **attributes)


def _mask(b: Builder, found: Bindings, scores: Extents) -> str:
    """All masks as one to add, of the scores' last two extents; "" if there is none."""
    masks = [found[name] for name in found.values if name.startswith("mask")]
    shape = [np.broadcast_shapes(*(tuple(e or 0 for e in b.graph.tensor(m).shape or ()) for m in masks))] if masks else []
    for n in range(len(found.values)):
        if f"open{n}" in found:
            condition, fill = found[f"open{n}"], found.number(f"fill{n}")
            numbers = (fill, 0.0) if found.number(f"inside{n}") else (0.0, fill)
            masks.append(b.op("Where", condition, *numbers))
            shape.append(tuple(extent or 0 for extent in b.graph.tensor(condition).shape or ()))
    if not masks:
        return ""
    total = reduce(b.add, masks)
    whole = np.broadcast_shapes(*shape)
    full = (*whole[:-2], *scores[-2:])
    return total if whole == full else b.op("Expand", total, b.integers(full))


RECOVER_ATTENTION = Rewrite(
    name="recover_attention",
    summary="softmax(c·Q·Kᵀ + mask)·V -> Attention(Q, K, V, mask; c)",
    operators=("MatMul",),
    emits=("Attention", "Transpose", "Where", "Add", "Expand"),
    contract=Contract("reassociates", over="masks that leave at least one position of every row open"),
    match=match,
    unless=unless,
    build=build,
)
FUSE_ATTENTION = replace(RECOVER_ATTENTION, name="fuse_attention", unless=unless_single)
"""For onnxruntime's CPU, where it is faster than its parts."""
