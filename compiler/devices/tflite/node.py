"""What a converter sees of an ONNX operator: attributes, operands in the order that was decided for it, and the words of its refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..attributes import attribute_of
from ..whole_ranges import WholeNumbers
from .integers.fixed import BETWEEN, FIXED, KEEPING, too_fine
from .integers.grids import place_on
from .order import Order, channels_last, plain, stored
from .program import Program
from .records import Refused, Scales, Tensor
from .values import Values

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

Converter = Callable[["TfliteNode"], None]
"""Emits the operators of a node and writes its outputs."""
FLOAT = "float32"


@dataclass(frozen=True, slots=True)
class TfliteNode:
    """One ONNX node to convert. Its tensors of rank 3 and more are stored channels last where `last` is set; axes that converters compute
    with are those of the stored tensors (`place`), shapes and attributes those of ONNX."""

    proto: onnx.NodeProto
    program: Program
    values: Values
    last: bool = False
    opset: int = 18

    def refuse(self, why: str) -> Refused:
        return Refused(why)

    def attribute(self, name: str, default: Any = None) -> Any:
        """As Python data, text as str."""
        return attribute_of(self.proto, name, default)

    def has(self, index: int) -> bool:
        """Whether the operand is given."""
        return index < len(self.proto.input) and bool(self.proto.input[index])

    def name(self, index: int) -> str:
        """Of an operand. Raises Refused where it is left out."""
        if not self.has(index):
            raise self.refuse(f"input {index} is missing")
        return str(self.proto.input[index])

    def shape(self, index: int) -> tuple[int, ...]:
        """Of an operand, as ONNX has it. Raises Refused where it is left out or not known."""
        return self.values.shape(self.name(index))

    def dtype(self, index: int) -> str:
        return self.values.dtype(self.name(index))

    def out_shape(self, index: int = 0) -> tuple[int, ...]:
        return self.values.shape(self.proto.output[index])

    def out_dtype(self, index: int = 0) -> str:
        return self.values.dtype(self.proto.output[index])

    def scales(self, index: int) -> Scales | None:
        """Of an operand in integers that stand for other numbers, axes as ONNX has them."""
        return self.values.scales.get(self.name(index))

    @property
    def out_scales(self) -> Scales | None:
        """Of the first output."""
        return self.values.scales.get(self.proto.output[0])

    @property
    def fits_int32(self) -> bool:
        """Whether all operands of integers and the first output are numbers of int32, whatever the inputs are."""
        values = self.values
        numbers = WholeNumbers(values.producers, values.constants.get, values.shape, values.dtype)
        return all(numbers.fits(name) for name in (*self.proto.input, self.proto.output[0]))

    def is_constant(self, index: int) -> bool:
        return self.has(index) and self.proto.input[index] in self.values.constants

    def constant(self, index: int) -> Array:
        """Raises Refused where the operand is computed."""
        if not self.is_constant(index):
            raise self.refuse(f"input {index} must be constant")
        return self.values.constants[self.name(index)]

    def whole_numbers(self, index: int) -> list[int]:
        """The elements of a constant operand. Raises Refused where it is computed."""
        return [int(value) for value in self.constant(index).reshape(-1)]

    def order_of(self, name: str) -> Order:
        """The order in which this node reads or writes a tensor."""
        rank = len(self.values.shape(name))
        return channels_last(rank, self.values.channels(name)) if self.last else plain(rank)

    @property
    def order(self) -> Order:
        """Of the first output."""
        return self.order_of(self.proto.output[0])

    def place(self, axis: int, order: Order | None = None) -> int:
        """Where an axis of ONNX, counted from either end, lies in the first input as it is read."""
        order = self.order_of(self.name(0)) if order is None else order
        return order.index(axis + len(order) if axis < 0 else axis)

    def read(self, index: int, order: Order | None = None) -> Tensor:
        """An operand in the order of this node, or in another one."""
        name = self.name(index)
        return self.values.read(name, self.order_of(name) if order is None else order)

    def beside(self, index: int, order: Order) -> Tensor:
        """An operand that broadcasts to a tensor stored in `order`, whose rank may be higher."""
        name = self.name(index)
        if len(self.values.shape(name)) > len(order):
            raise self.refuse(f"input {index} has more dims than the output")
        return self.values.read_wide(name, order)

    def emit(self, code: str, inputs: Sequence[Tensor | None], shape: Iterable[int] | None = None, **more: Any) -> Tensor:
        """An operator of one output; its stored shape and dtype are those of the first input unless they are said. In integers it is on the
        grid of the node's output, or on the only one that LiteRT's kernel writes.

        Raises Refused where the node's grid is finer than that."""
        given = next(tensor for tensor in inputs if tensor is not None)
        if given.scales is not None and "scales" not in more:
            more["scales"] = self._grid(code, given)
        if given.dtype == "int16" and code in ("ADD", "SUB"):
            more.setdefault("potScaleInt16", False)  # the schema's default asks for scales that are powers of two
        return self.program.emit(code, inputs, given.shape if shape is None else shape, self.values.fresh(self.hint), **more)

    def _grid(self, code: str, given: Tensor) -> Scales | None:
        if code in KEEPING:
            if code == BETWEEN and given.scales is not None and self.out_scales is not None and too_fine(self.out_scales, given.scales):
                raise self.refuse(f"its result has finer steps than its operand, on whose grid LiteRT's {code} rounds")
            return given.scales
        wanted, fixed = self.out_scales, FIXED.get((code, given.dtype))
        if fixed is not None and wanted is not None and too_fine(wanted, fixed):
            raise self.refuse(f"steps of {wanted.scale[0]:.3g} are finer than those of LiteRT's {code} ({fixed.scale[0]:.3g})")
        return wanted if fixed is None else fixed

    def on_grid(self, tensor: Tensor, scales: Scales, dtype: str | None = None) -> Tensor:
        """The tensor rounded to a grid; itself where it is on it."""
        dtype = dtype or tensor.dtype
        if tensor.scales == scales and tensor.dtype == dtype:
            return tensor
        return self.emit("QUANTIZE", [tensor], dtype=dtype, scales=scales)

    def settled(self, tensor: Tensor, index: int = 0) -> Tensor:
        """Rounded to the grid of an output; itself where it is in floats. Raises Refused where the output has another width."""
        name = self.proto.output[index]
        wanted = self.values.scales.get(name)
        if tensor.scales is None or wanted is None:
            return tensor
        if tensor.dtype != self.values.dtype(name):
            raise self.refuse(f"{tensor.dtype} came out where {self.values.dtype(name)} is expected")
        return self.on_grid(tensor, wanted)

    @property
    def hint(self) -> str:
        """What tensors inside this node's conversion are named after."""
        return str(next(name for name in self.proto.output if name))

    def numbers(self, values: Any, dtype: str = "int32", scales: Scales | None = None) -> Tensor:
        """A constant operand."""
        import numpy

        return self.program.constant(numpy.asarray(values, dtype), self.values.fresh(f"{self.hint}.constant"), scales)

    def like(self, value: Any, tensor: Tensor) -> Tensor:
        """A constant of a tensor's dtype, on its grid."""
        if tensor.scales is not None:
            return self.numbers(place_on(tensor.scales, float(value), tensor.dtype), tensor.dtype, tensor.scales)
        return self.numbers(value, tensor.dtype)

    def reshape(self, tensor: Tensor, shape: Sequence[int]) -> Tensor:
        """Another shape of the same bytes; the tensor itself where it has that shape."""
        if tensor.shape == tuple(shape):
            return tensor
        if tensor.data is not None:
            return self.program.constant(tensor.data.reshape(shape), self.values.fresh(tensor.name), tensor.scales)
        return self.emit("RESHAPE", [tensor, self.numbers(list(shape))], shape, scales=tensor.scales, newShape=list(shape))

    def transpose(self, tensor: Tensor, perm: Sequence[int]) -> Tensor:
        return self.values.turned(tensor, tuple(perm))

    def write(self, tensor: Tensor, index: int = 0, order: Order | None = None) -> None:
        """An output, in the order of this node or in another one, rounded to its grid where it is on another. Raises Refused where shape or
        dtype are not ONNX's."""
        name = self.proto.output[index]
        tensor = self.settled(tensor, index)
        order = self.order_of(name) if order is None else order
        wanted = stored(self.values.shape(name), order)
        if tensor.shape != wanted or tensor.dtype != self.values.dtype(name):
            raise self.refuse(f"{tensor.dtype}{list(tensor.shape)} came out where {self.values.dtype(name)}{list(wanted)} is expected")
        self.values.write(name, order, tensor)


Converters = Mapping[str, Converter]
