"""Nodes of an old opset out of onnx.version_converter's sight, and back in the form of opset 18.

While a model is lifted, a node that `convert_nodes` has a form for stands in the domain OLD: neither the converter nor the inliner of
functions knows operators there, so they leave it as it is. What the form depends on is kept in the node's own attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..infer_types import infer_types
from ..structure import all_graphs, bodies
from ..versions import DEFAULT_DOMAINS
from .convert_nodes import UNKNOWN, OldNode, Writer, conversion

if TYPE_CHECKING:
    import onnx

OLD = "autoglmc.old"
"""Domain of hidden nodes."""
FACTS = ("autoglmc.opset", "autoglmc.dtype", "autoglmc.ranks", "autoglmc.scales")


def hide_old_nodes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with every node hidden whose meaning the converter would change; the model itself where there is none."""
    if not any(True for _ in _convertible(model)):
        return model
    copy = type(model)()
    copy.CopyFrom(model)
    copy = infer_types(copy)
    for old in list(_convertible(copy)):
        _hide(old)
    for owner in (copy, *copy.functions):
        owner.opset_import.add(domain=OLD, version=1)
    return copy


def has_old_functions(model: onnx.ModelProto) -> bool:
    """Whether a local function holds an operator that would be another one at a newer opset."""
    return any(True for _ in _convertible(model, main=False))


def show_old_nodes(model: onnx.ModelProto) -> None:
    """Writes every hidden node anew, as of opset 18, in place. For a model at that opset or a newer one, without functions."""
    taken = {name for graph in all_graphs(model.graph) for name in _names(graph)}
    for graph in list(all_graphs(model.graph))[::-1]:  # innermost first: a graph's nodes are copied with the bodies in them
        if not any(node.domain == OLD for node in graph.node):
            continue
        nodes = [new for node in graph.node for new in (_shown(node, taken) if node.domain == OLD else (_copy(node),))]
        del graph.node[:]
        graph.node.extend(nodes)
    imports = [entry for entry in model.opset_import if entry.domain != OLD]
    del model.opset_import[:]
    model.opset_import.extend(imports)


def _convertible(model: onnx.ModelProto, main: bool = True) -> Iterator[OldNode]:
    """Nodes that have a form of ours, in every graph and function."""
    if main:
        yield from _within(model.graph, _opset(model), {}, {})
    for function in model.functions:
        yield from _within(function, _opset(function), {}, {})


def _within(part: Any, opset: int, types: Mapping[str, Any], constants: Mapping[str, onnx.TensorProto]) -> Iterator[OldNode]:
    """Of one graph or function, and of the bodies in it; what a body defines hides what is outside of the same name."""
    values = () if not hasattr(part, "initializer") else (*part.input, *part.output, *part.value_info)
    own = {name: None for node in part.node for name in node.output}
    types = {**types, **own, **{value.name: value.type.tensor_type for value in values}}
    constants = {name: tensor for name, tensor in constants.items() if name not in types} | _constants(part)
    for node in part.node:
        for body in bodies(node):
            yield from _within(body, opset, types, constants)
        # an attribute that a function's caller gives is not known here
        if node.domain in DEFAULT_DOMAINS and not any(attribute.ref_attr_name for attribute in node.attribute):
            old = _described(node, opset, types, constants)
            if conversion(old) is not None:
                yield old


def _described(node: onnx.NodeProto, opset: int, types: Mapping[str, Any], constants: Mapping[str, onnx.TensorProto]) -> OldNode:
    from onnx import numpy_helper

    known = [types.get(name) for name in node.input]
    ranks = [UNKNOWN if kind is None or not kind.HasField("shape") else len(kind.shape.dim) for kind in known]
    for k, name in enumerate(node.input):
        if name in constants:
            ranks[k] = len(constants[name].dims)
    dtype = known[0].elem_type if known and known[0] is not None else 0
    scales: tuple[float, ...] = ()
    if node.op_type in ("Upsample", "Resize"):
        given = next((attribute.floats for attribute in node.attribute if attribute.name == "scales"), None)
        if given is None and len(node.input) > 1 and node.input[1] in constants:
            given = numpy_helper.to_array(constants[node.input[1]]).reshape(-1)
        scales = tuple(float(scale) for scale in given) if given is not None else ()
    return OldNode(node, opset, dtype, tuple(ranks), scales)


def _hide(old: OldNode) -> None:
    from onnx import AttributeProto, helper

    node = old.node
    node.domain = OLD
    integer, integers, floats = AttributeProto.INT, AttributeProto.INTS, AttributeProto.FLOATS
    for name, value, kind in zip(FACTS, (old.opset, old.dtype, old.ranks, old.scales), (integer, integer, integers, floats), strict=True):
        node.attribute.append(helper.make_attribute(name, value, attr_type=kind))


def _shown(node: onnx.NodeProto, taken: set[str]) -> list[onnx.NodeProto]:
    from onnx import helper

    facts = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute if attribute.name in FACTS}
    opset, dtype, ranks, scales = (facts[name] for name in FACTS)
    old = OldNode(node, opset, dtype, tuple(ranks), tuple(scales))
    found = conversion(old)
    assert found is not None, "only such a node was hidden"
    writer = Writer(old, lambda name: _fresh(name, taken))
    found.write(writer)
    for new in writer.nodes[-1:]:
        new.doc_string = node.doc_string
        new.metadata_props.extend(node.metadata_props)
    return writer.nodes


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy: onnx.NodeProto = type(node).FromString(node.SerializeToString())
    return copy


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (value.name for value in (*graph.input, *graph.initializer))
    yield from (name for node in graph.node for name in node.output)


def _constants(part: Any) -> dict[str, onnx.TensorProto]:
    """Initializers of a graph or function, and tensors of its Constant nodes."""
    found = {tensor.name: tensor for tensor in getattr(part, "initializer", ())}
    for node in part.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def _opset(owner: Any) -> int:
    return next((entry.version for entry in owner.opset_import if entry.domain in DEFAULT_DOMAINS), 1)
