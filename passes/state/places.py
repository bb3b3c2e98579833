"""Sizes of a step: how many tokens were there before it, how many it adds, and how many fit."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import helper

from ...targets.dtypes import ELEMENT
from ..graph.graph import Graph


@dataclass(frozen=True, slots=True)
class Cache:
    """A tensor that a step reads and gives back longer by its tokens."""

    past: str
    """Name of the graph input."""
    present: str
    """Name of the graph output."""
    axis: int = 2
    """That its rows are along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """In tokens."""

    tokens: int
    """That one step takes."""
    length: int
    """That the cache holds at most, those of the step included."""

    @property
    def past(self) -> int:
        """Tokens in a cache that the step fills to the last place."""
        return self.length - self.tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrolled:
    """One model, loaded for three lengths of its past, recovered and simplified."""

    last: Graph
    """A step that fills the cache: `tokens` after `length - tokens`."""
    before: Graph
    """The same step one place earlier: what differs depends on the position."""
    first: Graph
    """All `length` tokens after nothing: what depends on the position, for every position."""


def resize(graph: Graph, tensor: str, like: str, axis: int, extent: int, dtype: str = "") -> None:
    """A tensor, which may be an input or output of the graph, has the dtype and shape of another, but for one extent, and the dtype where
    one is given."""
    view = graph.tensor(like)
    shape = [extent if k == axis else size for k, size in enumerate(view.shape or ())]
    value = helper.make_tensor_value_info(tensor, ELEMENT[dtype or view.dtype], shape)
    for given in (*graph.model.graph.input, *graph.model.graph.output):
        if given.name == tensor:
            given.CopyFrom(value)
    graph.tensors.learn(value)
