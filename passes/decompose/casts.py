"""Cast of integers to bool by way of floats, for devices that take what is below 0 for false (Hexagon).

Cast(i to bool) = Not(Equal(Cast(i to float), 0))

Exact: an integer other than 0 is at least 1 in magnitude, and no float that it is rounded to, nor infinity, is 0.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from ...targets.dtypes import DTYPES
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


def match(graph: Graph, node: Node) -> Bindings | None:
    dtype = graph.tensor(node.inputs[0]).dtype
    whole = dtype in DTYPES and DTYPES[dtype].kind in ("int", "uint")
    return Bindings(node, {}) if whole and graph.attribute(node, "to") == TensorProto.BOOL else None


def build(b: Builder, found: Bindings) -> str:
    real = b.op("Cast", found.root.inputs[0], to=TensorProto.FLOAT)
    return b.op("Not", b.op("Equal", real, b.array(np.zeros(()), "fp32")))


CAST_BOOL = Rewrite(
    name="cast_bool",
    summary="Cast(i to bool) = Not(Equal(Cast(i to float), 0))",
    operators=("Cast",),
    emits=("Cast", "Equal", "Not"),
    contract=Contract("exact"),
    match=match,
    build=build,
)
