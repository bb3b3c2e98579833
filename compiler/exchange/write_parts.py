"""Tensors, types and attributes of a gs.Graph as protobuf; what did not change is the protobuf it came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import helper, numpy_helper
from onnx_graphsurgeon.ir.tensor import LazyValues, SparseValues
from onnx_graphsurgeon.util.misc import convert_to_onnx_attr_type

from ..errors import ModelError, first_line

Kind = onnx.AttributeProto
PLAIN = {Kind.FLOAT: "f", Kind.INT: "i", Kind.FLOATS: "floats", Kind.INTS: "ints", Kind.STRING: "s", Kind.STRINGS: "strings"}


def dtype_code(dtype: Any, what: str) -> int:
    """A dtype of numpy, of ml_dtypes or already of ONNX as TensorProto.DataType. Raises ModelError for one that ONNX has not."""
    if isinstance(dtype, int):
        return dtype
    try:
        return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    except (KeyError, ValueError, TypeError):
        raise ModelError(f"{what} has the dtype {dtype}, which ONNX does not have") from None


def tensor_proto(tensor: gs.Constant, kept: onnx.TensorProto | None = None) -> onnx.TensorProto:
    """The constant under its name; `kept`: what the model had under that name, for doc string and metadata."""
    made = onnx.TensorProto()
    if isinstance(tensor._values, LazyValues):
        made.CopyFrom(tensor._values.tensor)
        if made.data_location == onnx.TensorProto.EXTERNAL:
            raise ModelError(f"the values of weight '{tensor.name}' lie in another file", help="load them first: onnx.load(path) does")
    else:
        code = dtype_code(tensor.export_dtype, f"weight '{tensor.name}'")
        values = np.asarray(tensor.values)
        values = values if values.dtype == object else values.astype(helper.tensor_dtype_to_np_dtype(code), copy=False)
        made.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape)))
        made.data_type = code
        if kept is not None:
            made.doc_string = kept.doc_string
            made.metadata_props.extend(kept.metadata_props)
    put(made, "name", tensor.name)
    return made


def sparse_proto(tensor: gs.Constant) -> onnx.SparseTensorProto:
    """A sparse weight whose values nobody has looked at."""
    made = onnx.SparseTensorProto()
    made.CopyFrom(tensor._values.tensor)
    put(made.values, "name", tensor.name)
    return made


def is_sparse(tensor: gs.Constant) -> bool:
    return isinstance(tensor._values, SparseValues)


def value_info(tensor: gs.Tensor, kept: Sequence[onnx.ValueInfoProto], old: onnx.ValueInfoProto | None) -> onnx.ValueInfoProto:
    """The tensor's name and type. `kept`: all that the model said of its type, `old`: in this place."""
    kind = getattr(tensor, "type", "tensor_type")
    if kind not in (None, "tensor_type"):
        message = f"'{tensor.name}' has type {kind.removesuffix('_type')}; a gs.Graph holds tensors only"
        raise ModelError(message, help="give the model's file instead of the gs.Graph")
    if old is not None and any(_says(value, tensor) for value in kept):
        return old
    made = onnx.ValueInfoProto()
    if tensor.dtype is not None:
        code = dtype_code(tensor.dtype, f"tensor '{tensor.name}'")
        made.CopyFrom(helper.make_tensor_value_info(tensor.name, code, tensor.shape))
    made.name = tensor.name
    if old is not None:
        made.doc_string = old.doc_string
        made.metadata_props.extend(old.metadata_props)
        if old.type.denotation:
            made.type.denotation = old.type.denotation
    return made


def _says(value: onnx.ValueInfoProto, tensor: gs.Tensor) -> bool:
    """Whether the model said of the tensor what the gs.Graph says."""
    if tensor.dtype is None:
        return not value.type.ByteSize()
    stated = value.type.tensor_type
    if stated.elem_type != dtype_code(tensor.dtype, f"tensor '{tensor.name}'"):
        return False
    if tensor.shape is None or not stated.HasField("shape"):
        return tensor.shape is None and not stated.HasField("shape")
    dims = [d.dim_param if d.HasField("dim_param") else d.dim_value if d.HasField("dim_value") else None for d in stated.shape.dim]
    return dims == list(tensor.shape)


def attribute_proto(name: str, value: Any, old: onnx.AttributeProto | None, where: str, declared: int) -> onnx.AttributeProto:
    """An attribute that is no body. `declared`: the kind that the operator's schema gives it, for an empty list; 0 if unknown."""
    if isinstance(value, gs.Node.AttributeRef):
        return _reference(name, value, old)
    if isinstance(value, gs.Tensor):
        if not isinstance(value, gs.Constant):
            raise ModelError(f"attribute '{name}' of {where} is the tensor '{value.name}', which has no value")
        made = _like(name, old)
        made.type = Kind.TENSOR
        made.t.CopyFrom(tensor_proto(value, old.t if old is not None and old.HasField("t") else None))
        return made
    value = value.tolist() if isinstance(value, np.ndarray) else list(value) if isinstance(value, tuple) else value
    if isinstance(value, type | np.dtype):
        value = dtype_code(value, f"attribute '{name}' of {where}")
    if old is not None and _plain(old) == value and not old.ref_attr_name:
        return old
    made = _made(name, value, old.type if old is not None else declared, where)
    made.doc_string = old.doc_string if old is not None else ""
    return made


def body_proto(name: str, body: onnx.GraphProto, old: onnx.AttributeProto | None) -> onnx.AttributeProto:
    made = _like(name, old)
    made.type = Kind.GRAPH
    made.g.CopyFrom(body)
    return made


def _made(name: str, value: Any, kind: int, where: str) -> onnx.AttributeProto:
    empty = isinstance(value, list) and not value
    if empty and kind not in (Kind.FLOATS, Kind.INTS, Kind.STRINGS):
        message = f"attribute '{name}' of {where} is an empty list: of floats, integers or strings?"
        raise ModelError(message, help="the operator's schema does not say which: leave the attribute out")
    try:
        return helper.make_attribute(name, value, attr_type=kind if empty else None)
    except (TypeError, ValueError) as problem:
        message = f"attribute '{name}' of {where} has a value that ONNX has no type for ({type(value).__name__}): {first_line(problem)}"
        raise ModelError(message) from None


def _reference(name: str, value: gs.Node.AttributeRef, old: onnx.AttributeProto | None) -> onnx.AttributeProto:
    """To an attribute of the function around the node."""
    if old is not None and old.ref_attr_name == value.name:
        return old
    return onnx.AttributeProto(name=name, type=convert_to_onnx_attr_type(value.type), ref_attr_name=value.name)


def _like(name: str, old: onnx.AttributeProto | None) -> onnx.AttributeProto:
    made = onnx.AttributeProto(name=name)
    if old is not None and old.HasField("doc_string"):
        made.doc_string = old.doc_string
    return made


def _plain(attribute: onnx.AttributeProto) -> Any:
    """The value as onnx_graphsurgeon reads it; None for tensors and bodies."""
    field = PLAIN.get(attribute.type)
    if field is None:
        return None
    value = getattr(attribute, field)
    if attribute.type == Kind.STRING:
        return value.decode()
    if attribute.type == Kind.STRINGS:
        return [text.decode() for text in value]
    return list(value) if attribute.type in (Kind.FLOATS, Kind.INTS) else value


def put(message: Any, field: str, value: Any) -> None:
    """Sets a scalar field where it has another value: a field that was left out stays left out."""
    if getattr(message, field) != value:
        setattr(message, field, value)


def put_all(message: Any, field: str, values: Iterable[Any]) -> None:
    del getattr(message, field)[:]
    getattr(message, field).extend(values)
