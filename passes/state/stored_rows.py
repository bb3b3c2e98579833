"""Caches in another dtype than the model: what a step writes is rounded before anything reads it, so that a row is the same number for
the step that makes it and for all that follow.

    k  ->  Cast(Clip(k', -65504, 65504), fp16)

What is larger than the dtype holds becomes its largest number.
"""

from __future__ import annotations

from ...targets.dtypes import ELEMENT
from ..graph.graph import Graph
from ..rule.build import Builder, largest
from .places import Cache


def stored(b: Builder, rows: str, dtype: str) -> str:
    """New rows, of the builder's dtype, as a cache of `dtype` holds them."""
    if dtype == b.dtype:
        return rows
    most = largest(dtype)
    return b.cast(b.op("Clip", rows, -most, most), dtype)


def read(b: Builder, rows: str, dtype: str) -> str:
    """Rows of a cache of `dtype` in the builder's dtype."""
    return rows if dtype == b.dtype else b.cast(rows, b.dtype)


def give_dtype(graph: Graph, cache: Cache, dtype: str) -> None:
    """Input and output of a cache have that dtype from here on."""
    for value in (*graph.model.graph.input, *graph.model.graph.output):
        if value.name in (cache.past, cache.present):
            value.type.tensor_type.elem_type = ELEMENT[dtype]
            graph.tensors.learn(value)
