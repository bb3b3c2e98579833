"""A model of a few nodes, from one line of code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy
    import onnx

Array: TypeAlias = "numpy.ndarray[Any, Any]"
OPSET, MICROSOFT = 21, "com.microsoft"
Dims = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One operator; operands by tensor name."""

    operator: str
    reads: Sequence[str]
    writes: Sequence[str] = ("y",)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    domain: str = ""


@dataclass(frozen=True)
class KernelModel:
    """A kernel of the grid."""

    name: str
    """"Conv 3x3 64->64 56x56"."""
    steps: Sequence[Step]
    inputs: Mapping[str, tuple[str, Dims]]
    """(dtype of numpy, shape) by name."""
    constants: Mapping[str, Array] = field(default_factory=dict)
    outputs: Sequence[str] = ("y",)
    opset: int = OPSET
    result: Dims | None = None
    """Of an operator that onnx does not know."""

    @cached_property
    def model(self) -> onnx.ModelProto:
        """With the shapes of all its tensors."""
        import numpy
        import onnx
        from onnx import helper, numpy_helper

        nodes = [
            helper.make_node(s.operator, s.reads, s.writes, name=f"{s.operator}_{k}", domain=s.domain, **s.attributes)
            for k, s in enumerate(self.steps)
        ]
        ends = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(numpy.dtype(dtype)), shape)
            for name, (dtype, shape) in self.inputs.items()
        ]
        weights = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(nodes, "kernel", ends, [onnx.ValueInfoProto(name=name) for name in self.outputs], weights)
        domains = [helper.make_opsetid("", self.opset), helper.make_opsetid(MICROSOFT, 1)]
        made = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=domains, ir_version=10), data_prop=True)
        for value in made.graph.output:
            if self.result is not None:
                value.CopyFrom(helper.make_tensor_value_info(value.name, ends[0].type.tensor_type.elem_type, self.result))
        return made


def weights(*shape: int, dtype: str = "float32", seed: int = 0) -> Array:
    """Values as trained weights have them; whole numbers of an integer dtype."""
    import numpy

    rng = numpy.random.default_rng(seed)
    if numpy.dtype(dtype).kind in "iu":
        low, high = (0, 255) if dtype == "uint8" else (-127, 127)
        return rng.integers(low, high, shape).astype(dtype)
    return (rng.standard_normal(shape) * 0.05).astype(dtype)


def scalar(value: float, dtype: str = "float32") -> Array:
    """A constant without axes."""
    import numpy

    return numpy.array(value, dtype)


def axes(*values: int) -> Array:
    """A constant of int64."""
    import numpy

    return numpy.array(values, numpy.int64)
