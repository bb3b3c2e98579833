"""The gs.Graph that we hand out. Imports onnx_graphsurgeon: import this module inside functions."""

from __future__ import annotations

from typing import Any

import onnx_graphsurgeon as gs

from .kept import Kept


class SurgeonGraph(gs.Graph):  # type: ignore[misc]
    """A gs.Graph that remembers what gs.Graph has no place for (`kept`), through `copy()` too. Everything else is gs.Graph's."""

    kept: Kept

    @staticmethod
    def of(graph: gs.Graph, kept: Kept) -> SurgeonGraph:
        """The same object, which from now on remembers."""
        graph.__class__ = SurgeonGraph
        graph.kept = kept
        assert isinstance(graph, SurgeonGraph)
        return graph

    def copy(self, tensor_map: Any = None) -> SurgeonGraph:
        """As gs.Graph.copy, which forgets the producer."""
        twin = SurgeonGraph.of(super().copy(tensor_map), self.kept)
        twin.producer_name, twin.producer_version = self.producer_name, self.producer_version
        return twin


def kept_of(graph: gs.Graph) -> Kept | None:
    """What the graph remembers; None for a graph that is not ours. (gs.Graph logs an error where an attribute is missing.)"""
    return graph.kept if isinstance(graph, SurgeonGraph) else None
