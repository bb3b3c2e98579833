"""What is known about the tensors of a graph, by name: constants and their values, dtypes and shapes, the model's notes on them."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import numpy_helper

from ...targets.dtypes import DTYPE
from ...targets.operator_view import TensorView
from ..mapped.mapped_tensor import array_of, is_mapped
from ..mapped.spill import current_spill, placed

LONGEST = 1 << 14
"""Elements of a vector up to which inference may follow values: onnx keeps 77 bytes of each (measured, 1.23)."""
SMALL = 4096
"""Elements of a constant whose numbers are looked at one by one."""


class Tensors:
    """`constants` are initializers by name. Views and values are computed when first asked for."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        """The protobufs of `graph` are kept, not copied."""
        self.of_body = False
        """Of a body, whose weights are never stubs."""
        self._spill = current_spill()  # as long as somebody reads stubs of it
        self.constants: dict[str, onnx.TensorProto] = {t.name: t for t in graph.initializer}
        self._types = {value.name: value.type for value in (*graph.input, *graph.output, *graph.value_info)}
        self._notes = {v.name: v for v in graph.value_info if v.doc_string or v.metadata_props}
        """Tensors with a doc string or metadata; never changed."""
        self._views: dict[str, TensorView] = {}
        self._arrays: dict[str, np.ndarray] = {}

    def copy(self) -> Tensors:
        """The same knowledge, to be extended on its own."""
        twin = copy.copy(self)
        for name in ("constants", "_types", "_views", "_arrays"):
            setattr(twin, name, copy.copy(getattr(self, name)))
        return twin

    @property
    def typed(self) -> Iterable[str]:
        """Names of tensors that the model or inference gave a type, in the order this became known."""
        return self._types.keys()

    def view(self, name: str) -> TensorView:
        """Dtype, shape and constness of a tensor; dtype "unknown" where inference did not reach."""
        found = self._views.get(name)
        if found is None:
            found = self._views[name] = self._view_of(name)
        return found

    def value(self, name: str) -> np.ndarray | None:
        """The value of a constant tensor (do not write to it), None if it is not constant."""
        if name in self._arrays:
            return self._arrays[name]
        if name not in self.constants:
            return None
        constant = self.constants[name]
        array = array_of(constant)
        if not is_mapped(constant):  # that lies in its file, or is a copy that nobody should keep
            self._arrays[name] = array
        return array

    def scalar(self, name: str) -> float | None:
        """The value of a constant with exactly one element, as float; None otherwise."""
        view = self.view(name)
        if not view.const or view.elements != 1 or view.dtype in ("string", "unknown"):
            return None
        array = self.value(name)
        return None if array is None or np.iscomplexobj(array) else float(array.reshape(()))

    def small(self, name: str) -> np.ndarray | None:
        """The value of a constant of SMALL elements at most; None of all else."""
        view = self.view(name)
        return self.value(name) if view.const and (view.elements or 0) <= SMALL else None

    def short(self, names: Iterable[str]) -> bool:
        """Whether none of the tensors is a long vector."""
        shapes = (self.view(name).shape for name in names)
        return all(shape is None or len(shape) != 1 or (shape[0] or 0) <= LONGEST for shape in shapes)

    def value_info(self, name: str) -> onnx.ValueInfoProto:
        """The type as the model or inference gave it (empty type if unknown), with the model's doc string and metadata."""
        info = onnx.ValueInfoProto(name=name)
        if (note := self._notes.get(name)) is not None:
            info.doc_string = note.doc_string
            info.metadata_props.extend(note.metadata_props)
        if name in self._types:
            info.type.CopyFrom(self._types[name])
        elif name in self.constants:
            info.type.tensor_type.elem_type = self.constants[name].data_type
            info.type.tensor_type.shape.SetInParent()
            for dim in self.constants[name].dims:
                info.type.tensor_type.shape.dim.add().dim_value = dim
        return info

    def add_constant(self, name: str, value: np.ndarray) -> None:
        """`value` must not be written to afterwards."""
        made = numpy_helper.from_array(np.ascontiguousarray(value) if value.ndim else value, name)
        self.constants[name] = made if self.of_body else placed(made)
        if not is_mapped(self.constants[name]):
            self._arrays[name] = value

    def take_constant(self, name: str, tensor: onnx.TensorProto) -> None:
        """A copy of the protobuf becomes the constant of that name."""
        copied = onnx.TensorProto()
        copied.CopyFrom(tensor)
        copied.name = name
        self.constants[name] = copied

    def capture(self, name: str, outer: Tensors) -> None:
        """Takes over what `outer` knows of a tensor: that a body reads from there, or that a part of the graph reads or writes."""
        if name in outer._notes:
            self._notes[name] = outer._notes[name]
        if name in outer.constants:
            self.constants[name] = outer.constants[name]
        elif name in outer._types:
            self._types[name] = outer._types[name]

    def learn(self, value: onnx.ValueInfoProto) -> None:
        """The tensor has this type."""
        self._types[value.name] = value.type
        self._views.pop(value.name, None)

    def release(self, name: str) -> None:
        """The array of a constant is not needed for now."""
        self._arrays.pop(name, None)

    def forget_constant(self, name: str) -> None:
        del self.constants[name]
        self._arrays.pop(name, None)
        self._views.pop(name, None)

    def forget_type(self, name: str) -> None:
        self._types.pop(name, None)
        self._views.pop(name, None)

    def _view_of(self, name: str) -> TensorView:
        constant = self.constants.get(name)
        if constant is not None:
            return TensorView(name, DTYPE.get(constant.data_type, "unknown"), tuple(constant.dims), True)
        kind = self._types.get(name)
        if kind is None or not kind.WhichOneof("value"):
            return TensorView(name, "unknown", None, False)
        if not kind.HasField("tensor_type"):
            return TensorView(name, (kind.WhichOneof("value") or "unknown").removesuffix("_type"), None, False)
        tensor = kind.tensor_type
        shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim) if tensor.HasField("shape") else None
        return TensorView(name, DTYPE.get(tensor.elem_type, "unknown"), shape, False)
