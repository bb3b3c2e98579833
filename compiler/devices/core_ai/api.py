"""The one place that touches coreai-core's authoring API: values, constants, one graph, a program that is optimised and verified.

Apple's own converters build graphs through the same module of raw operators, `coreai._compiler.dialects.coreai`. It is not a stable API, so
that the extra names one version of coreai-core.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

INT32 = (-(2**31), 2**31 - 1)
INLINE = 64
"""Elements up to which a constant is written into its operator. Longer ones are named blobs: those that coreai-core makes by itself (of 256
elements, not of 128) have random names, and two runs would give two files."""
ENTRY = "main"
"""The function of a program that has one."""


@dataclass(frozen=True, slots=True)
class CoreValue:
    """A tensor of the program."""

    raw: Any
    shape: tuple[int, ...]
    dtype: numpy.dtype[Any]


class Weights:
    """Long constants of a program, each once by content, whichever of its functions have it."""

    def __init__(self) -> None:
        self._blobs: dict[bytes, Any] = {}

    def blob(self, array: Array) -> Any:
        """With a name that depends on nothing but the order in which constants are met."""
        from coreai._compiler.ir import DenseResourceElementsAttr

        key = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + array.tobytes()).digest()
        if key not in self._blobs:
            name = f"weight_{len(self._blobs)}"
            self._blobs[key] = DenseResourceElementsAttr.get_from_buffer(array, name, tensor_type(array.shape, array.dtype))
        return self._blobs[key]


class Builder:
    """Makes operators of one graph: its methods are the functions of coreai-core's dialect, of CoreValues and numpy arrays."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._made: dict[int, tuple[Array, CoreValue]] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        from coreai._compiler.dialects import coreai as dialect

        function = getattr(dialect, name)

        def make(*operands: Any, **settings: Any) -> Any:
            given = {key: self._raw(value) for key, value in settings.items()}
            made = function(*map(self._raw, operands), **given)
            results = list(made) if _is_many(made) else [made]
            results[0].owner.verify()  # here, where it is known which node it is for
            return [wrapped(raw) for raw in results] if _is_many(made) else wrapped(made)

        return make

    def value(self, operand: Any) -> CoreValue:
        """A constant of the model too. Raises ValueError for a dtype that is not taken, and for numbers beyond int32."""
        if isinstance(operand, CoreValue):
            return operand
        kept = self._made.get(id(operand))
        if kept is None:
            kept = self._made[id(operand)] = (operand, self._constant(in_program(operand)))
        return kept[1]

    def cast_to(self, x: CoreValue, dtype: Any) -> CoreValue:
        """The value itself where it has that dtype."""
        return x if x.dtype == dtype else wrapped(_dialect().cast(x.raw, dtype))

    def _raw(self, operand: Any) -> Any:
        import numpy

        if isinstance(operand, CoreValue):
            return operand.raw
        if isinstance(operand, numpy.ndarray | numpy.generic):
            return self._constant(numpy.ascontiguousarray(operand).reshape(numpy.shape(operand))).raw
        return [self._raw(each) for each in operand] if isinstance(operand, list) and any(map(_is_tensor, operand)) else operand

    def _constant(self, array: Array) -> CoreValue:
        import numpy
        from coreai._compiler.dialects._coreai_ops_gen import ConstantOp

        if array.size <= INLINE:
            return wrapped(_dialect().constant(array))
        if array.dtype == numpy.bool_:
            return self.cast_to(self._constant(array.astype(numpy.uint8)), numpy.bool_)
        return wrapped(ConstantOp(value=self._weights.blob(array)).result)


TAKEN = ("float32", "float16", "int32", "int16", "int8", "uint32", "uint16", "uint8", "bool")
"""Dtypes that stay as they are."""


def dtype_of(element: int) -> numpy.dtype[Any]:
    """What a TensorProto.DataType is in a program: int64 is int32, as in Apple's converters. Raises ValueError for what is not taken."""
    import numpy
    from onnx import TensorProto, helper

    name = TensorProto.DataType.Name(element).lower()
    if name == "int64":
        return numpy.dtype(numpy.int32)
    kind = numpy.dtype(helper.tensor_dtype_to_np_dtype(element)) if element else None
    if kind is None or kind.name not in TAKEN:
        raise ValueError(f"{name} is not converted")
    return kind


def in_program(array: Array) -> Array:
    """A constant's numbers. Raises ValueError for a dtype that is not taken, and for numbers beyond int32."""
    import numpy
    from onnx import helper

    kind = dtype_of(helper.np_dtype_to_tensor_dtype(array.dtype))
    if array.dtype != kind and array.size and (array.min() < INT32[0] or array.max() > INT32[1]):
        raise ValueError("it has numbers beyond int32")
    return numpy.require(array.astype(kind), requirements=["C_CONTIGUOUS"])


@dataclass(frozen=True, slots=True)
class Port:
    """An input of the program."""

    name: str
    shape: tuple[int, ...]
    dtype: Any


@contextmanager
def authoring() -> Iterator[Any]:
    """Inside, operators can be made. Gives the module; their place in our sources is not noted in it."""
    from coreai.authoring import Context, DebugInfo, Module

    with ExitStack() as stack:
        context = stack.enter_context(Context())
        _fold_only_small(context._mlir_context)
        stack.enter_context(DebugInfo.unknown().activate())
        yield Module.create()


def build_graph(
    module: Any, name: str, ports: Sequence[Port], states: Mapping[str, str], body: Callable[[list[CoreValue]], Mapping[str, CoreValue]]
) -> None:
    """A function of the module; `body` makes its operators from its inputs, and gives its outputs by name.

    states: of ports that whoever runs the program keeps from run to run, the output that takes their place. Each is read once, before all
    else, and written once; the output is then none. Apple's verifier wants a token of each among the outputs: they are not seen outside."""
    from collections import OrderedDict

    from coreai._compiler.dialects.coreai import GraphOp, HandleType
    from coreai._compiler.ir import InsertionPoint

    types = [tensor_type(port.shape, port.dtype) for port in ports]
    kinds = [HandleType.get(kind) if port.name in states else kind for port, kind in zip(ports, types, strict=True)]
    with InsertionPoint(module._body):
        graph = GraphOp(name, kinds, [], [port.name for port in ports])
        with graph.block:
            handles = {port.name: raw for port, raw in zip(ports, graph.arguments, strict=True) if port.name in states}
            read = {past: _dialect().read_handle(handle, _dialect().create_token()) for past, handle in handles.items()}
            given = [read[port.name][0] if port.name in read else raw for port, raw in zip(ports, graph.arguments, strict=True)]
            outputs = body([wrapped(raw) for raw in given])
            tokens = {
                present: _dialect().write_handle(handles[past], outputs[present].raw, read[past][1]) for past, present in states.items()
            }
        found = {output: value.raw for output, value in outputs.items() if output not in tokens}
        graph.set_outputs_spec_from_dict(OrderedDict({**found, **tokens}))


def finished(module: Any) -> Any:
    """The program, simplified by Apple's rewrites and accepted by Apple's verifier. Raises what the verifier raises."""
    from coreai._compiler._mlir_libs._coreaiIR._bindings.compiler import run_pre_compilation_rewrite
    from coreai.authoring import AIProgram

    module.verify()
    run_pre_compilation_rewrite(module=module._mlir_module)
    module.verify()
    return AIProgram(module)


def wrapped(raw: Any) -> CoreValue:
    """Of a value of the API: its sizes are known."""
    import numpy
    from coreai._compiler.type_mapping import _MLIR_TO_NUMPY_DTYPE

    return CoreValue(raw, tuple(raw.type.shape), numpy.dtype(_MLIR_TO_NUMPY_DTYPE[str(raw.type.element_type)]))


def tensor_type(shape: Sequence[int], dtype: Any) -> Any:
    """The API's type of a tensor."""
    import numpy
    from coreai.authoring import TensorType

    return TensorType(tuple(shape), numpy.dtype(dtype).type)._to_mlir()


def choice(kind: str, name: str) -> Any:
    """A value of one of the API's enumerations: "scatter_mode", "add"."""
    from coreai._compiler.ir import Attribute

    return Attribute.parse(f"#coreai.{kind}<{name}>")


def _fold_only_small(context: Any) -> None:
    """Apple's rewrites fold constants: a long result would be a blob with a random name."""
    from coreai._compiler._mlir_libs._coreaiIR._bindings.mlir.dialects.coreai import register_should_const_folding_hook

    def small(operation: Any) -> bool:
        shapes = [getattr(result.type, "shape", None) for result in operation.results]
        return all(shape is not None and _elements(shape) <= INLINE for shape in shapes)  # tokens of states have none

    register_should_const_folding_hook(callable=small, context=context)


def _elements(shape: Sequence[int]) -> int:
    import math

    return math.prod(shape)


def _is_many(made: Any) -> bool:
    from coreai._compiler.ir import Value

    return not isinstance(made, Value)


def _is_tensor(operand: Any) -> bool:
    import numpy

    return isinstance(operand, CoreValue | numpy.ndarray)


def _dialect() -> Any:
    from coreai._compiler.dialects import coreai as dialect

    return dialect
