"""Attention over a cache that grows, as attention over one of fixed length whose new rows go out alone.

    k, v = Concat(past_k, k'), Concat(past_v, v')
    Attention(q, k, v, mask)  ->  Attention(q, Concat(past_k, k'), Concat(Where(filled, past_v, 0), v'), mask by position);  k', v' go out

For devices whose operators write no cache: whoever runs the step puts the rows behind those that are filled. Rows that are not filled may
hold anything, NaN too. Where attention is written out, Where closes the scores of such a key whatever they are; where it stays one
operator, which adds the mask to the scores, keys are replaced like values. New rows see each other as in the model.
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..rule.build import Builder
from .cached_attention import ROWS_AXIS, Attended, made_by, unmake
from .places import Sizes, resize
from .stored_rows import read, stored

IN_FRONT = "filled"
"""Tensor of `Rows`, by key."""


class Rows:
    """What all attentions of a step share, in front of the graph's nodes: which rows of the caches are filled, and masks."""

    def __init__(self, graph: Graph, filled_rows: str, sizes: Sizes) -> None:
        """filled_rows: int32 [1], how many rows are filled before the step."""
        self._graph, self._count, self._sizes = graph, filled_rows, sizes
        self._known: dict[int | str, str] = {}

    @property
    def tokens(self) -> int:
        return self._sizes.tokens

    def filled(self, b: Builder) -> str:
        """bool [length, 1]: the rows of a cache that hold tokens."""
        if IN_FRONT not in self._known:
            rows = b.array(np.arange(self._sizes.length)[:, None], "int32")
            self._known[IN_FRONT] = b.op("Less", rows, self._count)
        return self._known[IN_FRONT]

    def mask(self, b: Builder, window: int) -> str:
        """bool [tokens, length + tokens]: what each token of the step may see of the cache and of the step."""
        if window not in self._known:
            tokens, length = self._sizes.tokens, self._sizes.length
            behind = np.arange(tokens)[:, None] - np.arange(tokens)
            seen = (behind >= 0) & ((behind < window) | (window == 0))
            rows = np.broadcast_to(np.arange(length), (tokens, length))
            old = b.op("Less", b.array(rows, "int32"), self._count)
            if window:  # the position of token i is count + i: it sees rows from count + i - window + 1 on
                first = np.arange(length) - np.arange(tokens)[:, None] + window
                old = b.op("And", old, b.op("Greater", b.array(first, "int32"), self._count))
            self._known[window] = b.op("Concat", old, b.array(seen, "bool"), axis=1)
        return self._known[window]


def attend_to_rows(graph: Graph, one: Attended, shared: Rows, window: int, dtype: str, *, whole: bool) -> None:
    """Writes one attention so. window: as `window_of` says; dtype: of the caches; whole: it stays one operator."""
    node = made_by(graph, one.node.outputs[0])
    b = Builder(graph, graph.tensor(node.inputs[0]).dtype, node.outputs[0])
    filled, mask = shared.filled(b), shared.mask(b, window)
    extended = []
    for cache, new in ((one.keys, one.new_keys), (one.values, one.new_values)):
        rows = stored(b, new, dtype)
        past = read(b, cache.past, dtype)
        kept = b.op("Where", filled, past, 0.0) if whole or cache is one.values else past
        extended.append(b.op("Concat", kept, read(b, rows, dtype), axis=2))
        unmake(graph, cache.present)
        out = graph.node("Identity", [rows], outputs=[cache.present], hint=cache.present)
        b.nodes.append(out)
        resize(graph, cache.present, new, ROWS_AXIS, shared.tokens, dtype)
    result = b.like(node, node.inputs[0], *extended, mask)
    graph.replace(node, b.nodes, {node.outputs[0]: result})
