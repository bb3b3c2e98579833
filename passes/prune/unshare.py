"""Vectors that several operators read, each of its own: equal biases (zeros, mostly) are one constant once a model is loaded, and would
hold layers together that have nothing to do with each other. What stays equal is one again when the pruned model is loaded."""

from __future__ import annotations

from ...targets.dtypes import FLOATS
from ..graph.graph import Graph


def unshare(graph: Graph) -> None:
    """In place. Larger constants are left as they are: two layers of the same weights are pruned alike."""
    for name in tuple(graph.constants):
        view = graph.tensor(name)
        if view.shape is None or sum((extent or 0) > 1 for extent in view.shape) != 1 or view.dtype not in FLOATS:
            continue
        for node in graph.users(name)[1:]:
            value = graph.value(name)
            if value is not None and name not in node.captures and not graph.is_output(name):
                copy = graph.constant(value, name)
                graph.set_inputs(node, [copy if read == name else read for read in node.inputs])
