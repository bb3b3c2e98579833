"""From a gs.Graph to a model.

onnx_graphsurgeon's own exporter is not used: it copies weights of the main graph into the bodies that read them, fails on attributes that
are empty lists, writes float8e4m3fnuz as float8e4m3fn and 4-bit values unpacked. `write_graph.py` writes the same graph without that.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx
    import onnx_graphsurgeon as gs

    from .kept import Kept


def model_of(graph: gs.Graph | onnx.ModelProto, like: Kept | None = None) -> onnx.ModelProto:
    """The model of a gs.Graph; a ModelProto is given back as it is. This is where every graph of another library comes in.

    What `surgeon_graph` kept aside is put back by name; `like` is used for a graph that is not one of ours (a pass may return a new one).
    A graph that nothing touched gives the model it came from. What gs.import_onnx dropped before we saw the graph cannot come back:
    `surgeon_graph` keeps it.

    Raises ModelError that names the tensor, node or attribute that cannot be written: sequence, optional, map and sparse types, a graph
    output without a dtype, two tensors of one name, an attribute that ONNX has no kind for, an opset that is stated twice."""
    import onnx

    if isinstance(graph, onnx.ModelProto):
        return graph
    from .surgeon import kept_of
    from .write_graph import write_model

    return write_model(graph, kept_of(graph) or like)


def is_surgeon_graph(value: Any) -> bool:
    """Whether it is a gs.Graph, without importing onnx_graphsurgeon: who has made one has imported it."""
    gs = sys.modules.get("onnx_graphsurgeon")
    return gs is not None and isinstance(value, gs.Graph)
