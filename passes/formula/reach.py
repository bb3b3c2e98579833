"""What lies behind each node of a graph at any distance: most roots are told apart from formulas without walking back from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..graph.node import Node
from .pattern import Outline
from .region import Reader


class Reach:
    """For one sweep from the outputs back, in which edits leave what lies behind a later root as it is."""

    def __init__(self, reader: Reader, nodes: Sequence[Node]) -> None:
        """`nodes` in topological order. Two walks over all of them."""
        behind = [(node, step) for node in nodes if (step := reader.formula_step(node)) is not None]
        reads = Counter(tensor for _, step in behind for tensor, _ in step.behind)
        self._all: dict[str, int] = {}
        """By tensor, functions at or behind it, as bits."""
        self._shared: dict[str, int] = {}
        """Of those, the ones behind which lies a tensor that is read more than once."""
        splits: dict[str, bool] = {}
        for node, step in behind:
            every, shared, split = step.mask, 0, False
            for tensor, _ in step.behind:
                every |= self._all.get(tensor, 0)
                shared |= self._shared.get(tensor, 0)
                split = split or reads[tensor] > 1 or splits.get(tensor, False)
            name = node.outputs[0]
            self._all[name], self._shared[name], splits[name] = every, shared | (step.mask if split else 0), split

    def may_hold(self, node: Node, about: Outline) -> bool:
        """Whether a formula can end at the node: the functions of one of its spellings lie behind, where x is written twice in front of a
        tensor that is read twice."""
        here = (self._all if about.once else self._shared).get(node.outputs[0], 0)
        return any(not mask & ~here for mask in about.masks)
