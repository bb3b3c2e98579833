"""Writes a graph, or some of its nodes, as an ONNX model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

import numpy as np
import onnx
from onnx import helper

from ..contrib_types.with_stand_ins import with_stand_ins
from ..mapped.mapped_tensor import inlined
from .node import Node
from .tensors import Tensors

SMALL = 64
"""Constants up to this many elements go into a fragment: shape inference reads shapes, axes and sizes."""


def write_model(
    source: onnx.ModelProto,
    nodes: Sequence[Node],
    tensors: Tensors,
    inputs: Sequence[str],
    outputs: Sequence[str],
    opened: Collection[str] = (),
) -> onnx.ModelProto:
    """A model of `nodes` with the metadata, functions and types of `source`, and only constants that are used; those of `opened` are
    inputs."""
    model = onnx.ModelProto()
    for name in ("ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string"):
        setattr(model, name, getattr(source, name))
    model.opset_import.extend(source.opset_import)
    model.functions.extend(source.functions)
    model.metadata_props.extend(source.metadata_props)
    model.configuration.extend(source.configuration)
    graph = model.graph
    graph.name, graph.doc_string = source.graph.name, source.graph.doc_string
    graph.metadata_props.extend(source.graph.metadata_props)
    graph.input.extend(v for v in source.graph.input if v.name in inputs)
    graph.output.extend(source.graph.output)
    graph.node.extend(node.to_proto() for node in nodes)
    used = dict.fromkeys([*(name for node in nodes for name in node.reads), *outputs])
    graph.input.extend(tensors.value_info(name) for name in used if name in opened)
    graph.initializer.extend(tensors.constants[name] for name in used if name in tensors.constants and name not in opened)
    inner = {name for node in nodes for name in node.writes} - set(outputs)
    graph.value_info.extend(tensors.value_info(name) for name in tensors.typed if name in inner)
    known = inner | used.keys() | set(outputs)
    graph.quantization_annotation.extend(a for a in source.graph.quantization_annotation if a.tensor_name in known)
    return model


def inferred_types(
    source: onnx.ModelProto, opset: int, nodes: Sequence[Node], tensors: Tensors, wanted: Collection[str]
) -> list[onnx.ValueInfoProto]:
    """Dtype and shape of those tensors that these nodes write, as far as ONNX can infer them from what the nodes read; of an operator of
    com.microsoft from what stands in for it."""
    fragment = _fragment(source, opset, nodes, tensors, wanted)
    infer = partial(onnx.shape_inference.infer_shapes, data_prop=tensors.short(n for node in nodes for n in node.reads))
    graph = with_stand_ins(fragment, infer).graph
    return [value for value in (*graph.value_info, *graph.output) if value.type.WhichOneof("value") and value.name in wanted]


def _fragment(source: onnx.ModelProto, opset: int, nodes: Sequence[Node], tensors: Tensors, outputs: Collection[str]) -> onnx.ModelProto:
    """A model of just these nodes, written at `opset`, for shape inference: what they read are inputs, or small constants."""
    model = onnx.ModelProto(ir_version=max(source.ir_version, 8))
    for entry in source.opset_import:
        version = opset if entry.domain in ("", "ai.onnx") else entry.version
        model.opset_import.append(helper.make_opsetid(entry.domain, version))
    model.functions.extend(source.functions)
    written = {name for node in nodes for name in node.writes}
    model.graph.node.extend(node.to_proto() for node in nodes)
    for name in dict.fromkeys(name for node in nodes for name in node.reads if name not in written):
        constant = tensors.constants.get(name)
        if constant is not None and int(np.prod(constant.dims, dtype=np.int64)) <= SMALL:
            model.graph.initializer.append(inlined(constant))
        else:
            model.graph.input.append(tensors.value_info(name))
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    return model
