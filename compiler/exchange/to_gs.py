"""From a model to a gs.Graph.

Carried by the gs.Graph itself: operators in their order with their names, domains and attributes; tensors with dtype and shape; weights of
every dtype (bfloat16, 8-bit and 4-bit floats, 2-bit and 4-bit integers, sparse ones); bodies; functions; opsets; producer; IR version.

Kept aside by name and put back by `model_of`: doc strings and metadata of model, graphs, functions, nodes, attributes, tensors and weights;
denotations of types; the model's domain and version; device configurations; quantization annotations; inputs with default values; weights
and value_info that nothing reads. What belonged to a node or tensor goes when that goes.

Refused by name (`refuse.py`): sequence, optional, map and sparse types; attributes that are types, sparse tensors or lists of tensors or
graphs, or no UTF-8 text; overloads of functions; training information; weights whose values lie in another file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .kept import Kept
from .refuse import refuse_losses

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx
    import onnx_graphsurgeon as gs

    from .surgeon import SurgeonGraph


def surgeon_graph(model: onnx.ModelProto) -> SurgeonGraph:
    """A gs.Graph of the model. It shares the model's protobufs, as gs.import_onnx does: do not edit the model afterwards.

    Raises ModelError that names the first tensor, attribute or function that a gs.Graph cannot carry."""
    import onnx_graphsurgeon as gs
    from onnx_graphsurgeon.logger import G_LOGGER

    from .surgeon import SurgeonGraph

    refuse_losses(model)
    with G_LOGGER.suppress():
        graph = gs.import_onnx(model)
    for one in (graph, *graph.functions):
        one.import_domains = [_copy(entry) for entry in one.import_domains or ()]
    _keep_bodies(graph.nodes, model.graph.node)
    for function, proto in zip(graph.functions, model.functions, strict=True):
        _keep_bodies(function.nodes, proto.node)
    return SurgeonGraph.of(graph, Kept(model.graph, model))


def _keep_bodies(nodes: Iterable[gs.Node], protos: Iterable[onnx.NodeProto]) -> None:
    """Every body remembers what it was, however deep."""
    from .surgeon import SurgeonGraph

    for node, proto in zip(nodes, protos, strict=True):
        for attribute in proto.attribute:
            if attribute.HasField("g"):
                body = SurgeonGraph.of(node.attrs[attribute.name], Kept(attribute.g))
                _keep_bodies(body.nodes, attribute.g.node)


def _copy(entry: onnx.OperatorSetIdProto) -> onnx.OperatorSetIdProto:
    twin = type(entry)()
    twin.CopyFrom(entry)
    return twin
