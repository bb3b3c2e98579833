"""Attention over a cache that grows, as attention over one of fixed length that the operator itself extends.

    k, v = Concat(past_k, k'), Concat(past_v, v')
    Attention(q, k, v, mask)  ->  GroupQueryAttention(q, k', v', past_k, past_v, …)                 com.microsoft, version 1

The mask must close every position behind the query's own, and may close those before a window: the operator does both by itself.
Where past and present are one buffer, onnxruntime (1.32, CPU) writes the new rows there and reads no other row than those that are filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import helper

from ...targets.dtypes import ELEMENT
from ..formula.closed_rows import CLOSED
from ..formula.region import Reader
from ..formula.trace import extents
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from .errors import NotFixable
from .places import Cache, Sizes
from .stored_rows import read, stored

MICROSOFT = "com.microsoft"
HEADS_FIRST = (0, 2, 1, 3)
WIDTHS = 8
ROWS_AXIS = 2
"""Of keys and values: [batch, heads, rows, width]."""


@dataclass(frozen=True, slots=True)
class Attended:
    """An attention, and the caches that it reads."""

    node: Node
    keys: Cache
    values: Cache
    new_keys: str
    new_values: str


def attended(graph: Graph, caches: tuple[Cache, ...]) -> tuple[Attended, ...]:
    """Every attention over the caches. Raises NotFixable for a cache that is made in another way, or that anything else reads."""
    reader = Reader(graph)
    made = {name: cache for cache in caches for name in (cache.present, reader.resolve(cache.present))}
    new = {cache.present: _appended(reader, cache) for cache in caches}
    found: list[Attended] = []
    for node in graph.nodes:
        read = [name for name in node.reads if name in made]
        if not read or made.keys() >= set(node.writes):  # a Cast to the dtype that it has
            continue
        if (
            node.kind != "Attention"
            or node.inputs[1] not in made
            or node.inputs[2] not in made
            or any(node.inputs[4:])
            or len(node.writes) != 1
        ):
            raise NotFixable(
                "a cache is read by something that is no attention", f"{read[0]!r}, read by {node.kind} {node.name or node.outputs[0]}"
            )
        k, v = made[node.inputs[1]], made[node.inputs[2]]
        found.append(Attended(node, k, v, new[k.present], new[v.present]))
    left = [cache for cache in caches if not any(cache in (one.keys, one.values) for one in found)]
    if left:
        raise NotFixable("no attention was recognised that reads the cache", left[0].present)
    return tuple(found)


def _appended(reader: Reader, cache: Cache) -> str:
    """What a step adds to a cache: present = Concat(past, new)."""
    graph, node = reader.graph, reader.graph.producer(reader.resolve(cache.present))
    while node is not None and node.kind == "Concat" and len(node.inputs) == 1:
        node = graph.producer(node.inputs[0])
    axis = None if node is None else graph.attribute(node, "axis")
    where = f"{cache.present!r}, made by {'nothing' if node is None else f'{node.kind} {node.name or node.outputs[0]}'}"
    if node is None or node.kind != "Concat" or len(node.inputs) != 2 or not isinstance(axis, int):
        raise NotFixable(f"the cache is not its past {cache.past!r} with new rows behind", where)
    source = _passed(graph, reader.resolve(node.inputs[0]))
    if source != cache.past:
        raise NotFixable(f"the cache continues {source!r}, not {cache.past!r}", where)
    if len(graph.tensor(cache.past).shape or ()) != 4 or axis % 4 != ROWS_AXIS:
        raise NotFixable("the cache is not [batch, heads, rows, width], or does not grow by rows", where)
    return node.inputs[1]


def _passed(graph: Graph, tensor: str) -> str:
    """The tensor before a Concat of one, which onnx has for a pad of nothing."""
    node = graph.producer(tensor)
    return _passed(graph, node.inputs[0]) if node is not None and node.kind == "Concat" and len(node.inputs) == 1 else tensor


def window_of(graph: Graph, node: Node, sizes: Sizes) -> int:
    """How many positions a token sees by the mask of an attention, its own included; 0 where it sees all up to its own. Raises NotFixable
    for any other mask."""
    where = f"Attention {node.name or node.outputs[0]}"
    if graph.attribute(node, "is_causal"):
        raise NotFixable("the operator masks by itself, from the first row of the cache", where)
    named = node.inputs[3] if len(node.inputs) > 3 else ""
    mask = _value(graph, named) if named else None
    if named and mask is None:
        raise NotFixable("the mask is computed from an input", f"{where}, mask {named!r}")
    distance = np.arange(sizes.tokens)[:, None] + sizes.past - np.arange(sizes.length)
    if mask is None:
        closed = np.zeros(distance.shape, bool)
    else:
        closed = ~mask if mask.dtype == bool else mask <= CLOSED
        if mask.ndim < 2 or (mask.dtype != bool and np.any(mask[~closed])):
            raise NotFixable("the mask adds numbers to scores", f"{where}, mask {named!r}")
    if (mask is not None and np.any(~closed & (distance < 0))) or (mask is None and sizes.tokens > 1):
        raise NotFixable("attention is not causal: a token sees those behind it", where)
    window = int(np.max(np.where(closed, 0, distance + 1))) if np.any(closed & (distance >= 0)) else 0
    if np.any(closed != ((distance < 0) | ((distance >= window) & (window > 0)))):
        raise NotFixable("the mask closes more than what is behind a token, or before a window", f"{where}, mask {named!r}")
    return window


def _value(graph: Graph, tensor: str) -> np.ndarray | None:
    """Of a constant, or of Where and Add on constants: a mask that a model puts in place of scores becomes one that is added."""
    value, node = graph.value(tensor), graph.producer(tensor)
    if value is not None or node is None or node.kind not in ("Where", "Add"):
        return value
    parts = [_value(graph, name) for name in node.inputs]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    with np.errstate(over="ignore"):
        return np.asarray(np.where(*known) if node.kind == "Where" else known[0] + known[1])


def replace_attention(graph: Graph, one: Attended, inputs: Mapping[str, str], window: int, dtype: str) -> None:
    """The operator that extends its caches. inputs: tensors "last" (int32 [1]: index of the last row filled after the step) and "total"
    (int32 [1]: rows filled then). window: as `window_of` says. dtype: of the caches, and so of all that the operator reads and writes."""
    node = made_by(graph, one.node.outputs[0])
    shapes = [extents(graph, name) for name in (node.inputs[0], one.new_keys, one.new_values)]
    q, k, v = shapes
    if q is None or k is None or v is None or any(len(shape) != 4 for shape in (q, k, v)) or q[0] != 1:
        raise NotFixable("the shapes of an attention are not known, or its batch is not 1", f"Attention {node.name or node.outputs[0]}")
    if unfit := _unfit(q, k, v):
        raise NotFixable(f"onnxruntime's cache-extending attention needs {unfit}", f"Attention {node.name or node.outputs[0]}")
    b = Builder(graph, graph.tensor(node.inputs[0]).dtype, node.outputs[0])
    rows = [_rows(b, name, shape) for name, shape in zip((node.inputs[0], one.new_keys, one.new_values), (q, k, v), strict=True)]
    rows = [rows[0] if dtype == b.dtype else b.cast(rows[0], dtype), *(stored(b, name, dtype) for name in rows[1:])]
    attributes = {"num_heads": q[1], "kv_num_heads": k[1], "scale": _number(graph, node, "scale", q[3] ** -0.5)}
    if cap := _number(graph, node, "softcap", 0.0):
        attributes["softcap"] = cap
    if window:
        attributes["local_window_size"] = window
    caches = (one.keys.past, one.values.past, inputs["last"], inputs["total"])
    results = [graph.fresh(f"{node.outputs[0]}_rows"), one.keys.present, one.values.present]
    made = graph.node("GroupQueryAttention", [*rows, *caches], outputs=results, domain=MICROSOFT, hint=node.outputs[0], **attributes)
    b.nodes.append(made)
    graph.tensors.learn(helper.make_tensor_value_info(made.outputs[0], ELEMENT[dtype], (q[0], q[2], q[1] * v[3])))
    split = b.reshape(read(b, made.outputs[0], dtype), (q[0], q[2], q[1], v[3]))
    result = b.op("Transpose", split, perm=HEADS_FIRST)
    for cache in (one.keys, one.values):
        unmake(graph, cache.present)
    graph.replace(node, b.nodes, {node.outputs[0]: result})


def _unfit(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...]) -> str:
    """What of [batch, heads, rows, width] onnxruntime's kernel (1.32, CPU) refuses when it runs; "" for nothing."""
    if k[3] != v[3]:
        return f"keys and values of one width, not {k[3]} and {v[3]}"
    if q[3] % WIDTHS:
        return f"a head width that is a multiple of {WIDTHS}, not {q[3]}"
    return f"a multiple of {k[1]} heads, as many as there are of keys, not {q[1]}" if q[1] % k[1] else ""


def made_by(graph: Graph, tensor: str) -> Node:
    """What writes a tensor that is no input."""
    node = graph.producer(tensor)
    assert node is not None, tensor
    return node


def unmake(graph: Graph, present: str) -> None:
    """Takes out what writes the cache."""
    producer = graph.producer(present)
    if producer is not None:
        graph.remove(producer)


def _number(graph: Graph, node: Node, name: str, default: float) -> float:
    value = graph.attribute(node, name)
    return float(value) if isinstance(value, int | float) and value else default


def _rows(b: Builder, tensor: str, shape: tuple[int, ...]) -> str:
    """[batch, heads, rows, width] as [batch, rows, heads · width]; a rotation before is done on rows."""
    graph, flat = b.graph, (shape[0], shape[2], shape[1] * shape[3])
    node = graph.producer(tensor)
    if node is not None and node.kind == "RotaryEmbedding":
        attributes = {name: value for name in node.attributes if isinstance(value := node.attribute(name), int)}
        source = _rows(b, node.inputs[0], shape)
        return b.op("RotaryEmbedding", source, *node.inputs[1:], **{**attributes, "num_heads": shape[1]})
    if node is not None and node.kind == "Transpose" and node.attribute("perm") == HEADS_FIRST:
        return b.reshape(node.inputs[0], flat)
    return b.reshape(b.op("Transpose", tensor, perm=HEADS_FIRST), flat)
