"""A step of a decoder, written with caches of fixed length.

Constants that depend on the position become rows of a table, taken at the positions of the step; caches are written at their position by
the attention that reads them, or by whoever runs the step. The new input CACHE_LENGTH says how many rows of the caches are filled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from .appended_rows import Rows, attend_to_rows
from .cached_attention import ROWS_AXIS, attended, made_by, replace_attention, window_of
from .errors import NotFixable
from .grown_axes import GrownAxes, entering
from .placed_rows import Places, check_output
from .places import Cache, Sizes, Unrolled, resize
from .row_readers import check_readers
from .stored_rows import give_dtype
from .varying import Varying, varying

CACHE_LENGTH = "cache_length"
"""int64 [1], an input: rows of the caches that are filled before the step."""
MASK = 3
"""The operand of Attention that is added to the scores."""
TURNS = (1, 2)
"""The operands of RotaryEmbedding that are cosines and sines."""


def place_rows(graphs: Unrolled, caches: tuple[Cache, ...], sizes: Sizes) -> Graph:
    """`graphs.last`, edited: new rows are put at their places in the caches, whoever reads these (placed_rows.py), and go out alone. Raises
    NotFixable where that cannot be."""
    graph, grown = graphs.last, GrownAxes(graphs)
    found = {cache: entering(graph, grown, cache, sizes) for cache in caches}
    for cache in caches:
        check_output(graph, cache, found[cache])
    varied = varying(graphs, sizes, {tensor for one in found.values() for tensor in one.moved})
    check_readers(graphs, grown, (join.node.outputs[0] for one in found.values() for join in one.joins), sizes)
    counts = _counts(graph, sizes)
    tables = _Tables(graph, counts["positions"])
    _by_position(graph, varied, tables)
    Places(graph, counts, sizes).place(found)
    graph.sweep()
    return graph


def fix_length(graphs: Unrolled, caches: tuple[Cache, ...], sizes: Sizes, *, extends: bool, whole: bool = False, dtype: str = "") -> Graph:
    """`graphs.last`, edited. extends: attention writes the caches itself; else their new rows go out, for whoever runs the step to put
    behind those that are filled (appended_rows.py); whole: attention over these stays one operator. dtype: of the caches, "" for the
    model's. Raises NotFixable where it cannot be written so."""
    graph, found = graphs.last, varying(graphs, sizes)
    readers = attended(graph, caches)
    windows = {one.node.outputs[0]: window_of(graph, one.node, sizes) for one in readers}
    counts = _counts(graph, sizes)
    tables = _Tables(graph, counts["positions"])
    masks = {(one.node.outputs[0], MASK) for one in readers}
    _by_position(graph, [one for one in found if (one.reader, one.operand) not in masks], tables)
    for cache in caches:
        resize(graph, cache.past, cache.past, ROWS_AXIS, sizes.length)
    kept = {cache.past: dtype or graph.tensor(cache.past).dtype for cache in caches}
    for cache in caches:
        give_dtype(graph, cache, kept[cache.past])
    shared = Rows(graph, counts["filled"], sizes)
    for reader in readers:
        window, stored = windows[reader.node.outputs[0]], kept[reader.keys.past]
        if extends:
            replace_attention(graph, reader, counts, window, stored)
        else:
            attend_to_rows(graph, reader, shared, window, stored, whole=whole)
    graph.sweep()
    return graph


def _counts(graph: Graph, sizes: Sizes) -> dict[str, str]:
    """Tensors that are there before all others: "positions" (int64 [1, tokens]); "filled", "last" and "total" (int32 [1])."""
    if CACHE_LENGTH in graph.inputs or graph.producer(CACHE_LENGTH) is not None or CACHE_LENGTH in graph.constants:
        raise NotFixable("the model has a tensor of this name already", CACHE_LENGTH)
    value = helper.make_tensor_value_info(CACHE_LENGTH, onnx.TensorProto.INT64, [1])
    graph.model.graph.input.append(value)
    graph.inputs.append(CACHE_LENGTH)
    graph.tensors.learn(value)
    b = Builder(graph, "int64", CACHE_LENGTH)
    positions = b.op("Add", CACHE_LENGTH, b.array(np.arange(sizes.tokens)[None]))
    last, total = (b.cast(b.op("Add", CACHE_LENGTH, b.array(np.array([more]))), "int32") for more in (sizes.tokens - 1, sizes.tokens))
    filled = b.cast(CACHE_LENGTH, "int32")
    _insert(graph, graph.nodes[0].outputs[0], b)
    return {"positions": positions, "filled": filled, "last": last, "total": total}


def _insert(graph: Graph, before: str, b: Builder) -> None:
    """The builder's nodes in front of the node that writes the tensor `before`."""
    node = made_by(graph, before)
    graph.replace(node, [*b.nodes, node.copy()])


class _Tables:
    """Constants with a row for every position, and the rows of the step, each once."""

    def __init__(self, graph: Graph, positions: str) -> None:
        self.positions = positions
        self._graph = graph
        self._whole: dict[bytes, str] = {}
        self._rows: dict[tuple[str, int], str] = {}

    def whole(self, table: np.ndarray, hint: str) -> str:
        key = hashlib.sha256(f"{table.dtype.str}{table.shape}".encode() + np.ascontiguousarray(table).tobytes()).digest()
        if key not in self._whole:
            self._whole[key] = self._graph.constant(table, f"{hint}_positions")
        return self._whole[key]

    def rows(self, one: Varying, before: str) -> str:
        """Those of the step; where they are new, in front of the node that writes `before`."""
        whole = self.whole(one.table, one.reader)
        if (whole, one.axis) not in self._rows:
            b = Builder(self._graph, "int64", one.reader)
            flat = b.reshape(self.positions, (-1,))
            self._rows[whole, one.axis] = b.op("Gather", whole, flat, axis=one.axis)
            _insert(self._graph, before, b)
        return self._rows[whole, one.axis]


def _by_position(graph: Graph, found: Sequence[Varying], tables: _Tables) -> None:
    """Constants that depend on the position are looked up."""
    _turn_by_position(graph, found, tables)
    for one in found:
        if not _turned(made_by(graph, one.reader), one):
            rows = tables.rows(one, before=one.reader)  # puts another node into the place of the reader
            graph.set_input(made_by(graph, one.reader), one.operand, rows)


def _turned(node: Node, one: Varying) -> bool:
    return node.kind == "RotaryEmbedding" and one.operand in TURNS and len(node.inputs) > 3


def _turn_by_position(graph: Graph, found: Sequence[Varying], tables: _Tables) -> None:
    """RotaryEmbedding takes whole tables of [positions, width], and positions."""
    turning = {(one.reader, one.operand): one for one in found if one.operand in TURNS and one.table.ndim == 3 and one.axis == 1}
    for reader, operand in turning:
        node, pair = graph.producer(reader), [turning.get((reader, k)) for k in TURNS]
        if operand == TURNS[0] and node is not None and node.kind == "RotaryEmbedding" and len(node.inputs) == 3 and None not in pair:
            caches = [tables.whole(one.table[0], reader) for one in pair if one is not None]
            graph.set_inputs(node, [node.inputs[0], *caches, tables.positions])
