"""A segment: a convex part of the placed graph that one device runs in one dispatch, as a graph of its own and as an ONNX model.

Kernel groups are marked on the nodes themselves (metadata key KERNEL): operators stay visible to whatever reads the segment,
and a device compiler finds the groups that were counted as one launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import onnx
from onnx import helper

from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.versions import attributes_at
from ..mapped.mapped_tensor import inlined
from .placed import Part

KERNEL = "autoglmc.kernel"


@dataclass(frozen=True, eq=False, kw_only=True)
class Segment:
    index: int
    """Position in the order of execution, from 0."""
    part: Part
    """Its nodes are those of `graph`."""
    graph: Graph
    """Not to be edited: a copy may."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    groups: tuple[tuple[Node, ...], ...]
    """Nodes per launch."""
    opset: int
    """What its model declares."""
    internal_peak: int
    """Largest sum of bytes live inside at once, tensors at the border not counted."""

    @property
    def device(self) -> str:
        return self.part.device

    @property
    def seconds(self) -> float:
        """Predicted, dispatch included."""
        return self.part.seconds

    @property
    def compute_dtype(self) -> str:
        """The dtype the device computes in; the segment's own dtypes stay the model's."""
        return self.part.dtypes[0] if self.part.dtypes else ""

    @property
    def kernels(self) -> tuple[tuple[str, ...], ...]:
        """Node names per launch."""
        return tuple(tuple(node.name for node in group) for group in self.groups)

    @property
    def ir_version(self) -> int:
        """What its model declares: the first that has its opsets."""
        return helper.find_min_ir_version_for(_opsets(self.graph, self.part.nodes, self.opset), ignore_unknown=True)

    @cached_property
    def constants(self) -> tuple[onnx.TensorProto, ...]:
        """What the segment's nodes read of the weights, in the order of their first use; not copied, and large ones stubs."""
        used = dict.fromkeys(name for node in self.part.nodes for name in node.reads)
        return tuple(self.graph.constants[name] for name in used if name in self.graph.constants)

    @property
    def model(self) -> onnx.ModelProto:
        """The segment as a model with its weights in it: a copy of them, so only for segments that are to be run or compared."""
        model = self.without_weights()
        model.graph.initializer.extend(map(inlined, self.constants))
        return model

    def without_weights(self) -> onnx.ModelProto:
        """The model but for its initializers."""
        opset, graph = self.opset, self.graph
        model = header(graph, self.part, self.index, self.inputs, self.outputs, opset)
        grouped = {id(node): number for number, group in enumerate(self.groups) if len(group) > 1 for node in group}
        for node in self.part.nodes:
            proto = (replace(node, attributes=attributes_at(node, opset)) if opset < graph.version(node) else node).to_proto()
            _remove_old_groups(proto)
            if id(node) in grouped:
                proto.metadata_props.add(key=KERNEL, value=str(grouped[id(node)]))
            model.graph.node.append(proto)
        inner = (name for node in self.part.nodes for name in node.writes if name not in self.outputs)
        model.graph.value_info.extend(info for name in inner if (info := graph.value_info(name)).type.WhichOneof("value"))
        return model


def header(graph: Graph, part: Part, index: int, inputs: Sequence[str], outputs: Sequence[str], opset: int) -> onnx.ModelProto:
    """The model of a part before its first node: opsets, functions, inputs and outputs."""
    imports = _opsets(graph, part.nodes, opset)
    model = onnx.ModelProto(ir_version=helper.find_min_ir_version_for(imports, ignore_unknown=True))
    model.producer_name = "autoglmc"
    model.opset_import.extend(imports)
    model.functions.extend(graph.model.functions)
    model.graph.name = f"segment_{index:02d}_{part.device}"
    model.graph.input.extend(graph.value_info(name) for name in inputs)
    model.graph.output.extend(graph.value_info(name) for name in outputs)
    return model


def _remove_old_groups(proto: onnx.NodeProto) -> None:
    """Of a model that is a segment of an earlier compilation."""
    kept = [entry for entry in proto.metadata_props if entry.key != KERNEL]
    if len(kept) < len(proto.metadata_props):
        del proto.metadata_props[:]
        proto.metadata_props.extend(kept)


def _opsets(graph: Graph, nodes: Sequence[Node], opset: int) -> list[onnx.OperatorSetIdProto]:
    """Of the domains in use; of all where a node has a body."""
    domains = {node.domain for node in nodes}
    has_body = any(True for node in nodes for _ in node.bodies())
    others = [o for o in graph.model.opset_import if o.domain not in ("", "ai.onnx") and (has_body or o.domain in domains)]
    return [helper.make_opsetid("", opset), *others]
