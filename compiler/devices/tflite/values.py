"""The tensors of an ONNX graph as they are stored: each in one order or several, turned where a reader wants another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .order import Order, after_reshape, blocks_of, moves_data, plain, stored, turn
from .program import Program
from .records import Refused, Scales, Tensor

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]


@dataclass(slots=True)
class Values:
    """By the names of the ONNX graph. `channel_axes`: how many axes from axis 1 on are channels, where it is not one."""

    program: Program
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    constants: Mapping[str, Array]
    scales: Mapping[str, Scales] = field(default_factory=dict)
    """Of integers that stand for other numbers; `dtypes` are those of the stored tensors."""
    channel_axes: Mapping[str, int] = field(default_factory=dict)
    producers: Mapping[str, onnx.NodeProto] = field(default_factory=dict)
    """The node that writes a tensor."""
    made: dict[str, dict[Order, Tensor]] = field(default_factory=dict)
    columns: dict[str, tuple[Tensor, tuple[int, ...], Order]] = field(default_factory=dict)
    """Flattened in the order in which they lay: the tensor, and the shape and order of what was flattened."""
    taken: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    """Up to which number the names of a hint are taken: an unrolled LSTM asks for thousands."""

    def shape(self, name: str) -> tuple[int, ...]:
        if name in self.constants:
            return tuple(self.constants[name].shape)
        if name not in self.shapes:
            raise Refused(f"the shape of {name} is not known")
        return self.shapes[name]

    def dtype(self, name: str) -> str:
        if name in self.constants:
            return str(self.constants[name].dtype.name)
        if name not in self.dtypes:
            raise Refused(f"the type of {name} is not known")
        return self.dtypes[name]

    def channels(self, name: str) -> int:
        return self.channel_axes.get(name, 1)

    def fresh(self, hint: str) -> str:
        """A name that no tensor has yet: `hint` itself where it is free."""
        name, number = hint, self.numbers.get(hint, 1)
        while name in self.taken:
            number += 1
            name = f"{hint}.{number}"
        self.taken.add(name)
        self.numbers[hint] = number
        return name

    def write(self, name: str, order: Order, tensor: Tensor) -> None:
        self.made.setdefault(name, {})[order] = tensor

    def read(self, name: str, order: Order) -> Tensor:
        """In that order; where it is stored in others only, turned once for all readers."""
        import numpy

        if name in self.constants:
            return self.program.constant(numpy.transpose(self.constants[name], order), self.fresh(name), self._stored_scales(name))
        kept = self.made.get(name)
        if not kept:
            raise Refused(f"{name} is not computed by anything that is converted")
        if order not in kept:
            before, tensor = next(iter(kept.items()))
            kept[order] = self.turned(tensor, turn(before, order))
        return kept[order]

    def _stored_scales(self, name: str) -> Scales | None:
        """Of a constant that is no weight of a convolution or product. Raises Refused for one scale a channel."""
        found = self.scales.get(name)
        if found is not None and len(found.scale) > 1:
            raise Refused(f"{name} has a scale for each channel, which only weights of convolutions and products may have")
        return found

    def read_wide(self, name: str, order: Order) -> Tensor:
        """As it broadcasts to a tensor of the order's rank: with axes of one element in front, stored in that order."""
        shape, rank = self.shape(name), len(order)
        if len(shape) == rank or order == plain(rank):
            return self.read(name, order if len(shape) == rank else plain(len(shape)))
        wide = (*(1,) * (rank - len(shape)), *shape)
        if name in self.constants:
            return self.program.constant(self.constants[name].reshape(wide).transpose(order), self.fresh(name), self._stored_scales(name))
        tensor = self.read(name, plain(len(shape)))
        if not tensor.shape:
            return tensor
        perm = turn(plain(rank), order)
        if not moves_data(wide, perm):
            return self.reshaped(tensor, stored(wide, order))
        return self.turned(self.reshaped(tensor, wide), perm)

    def reshaped(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        import numpy

        if tensor.shape == shape:
            return tensor
        wanted = self.program.constant(numpy.array(shape, numpy.int32), self.fresh(f"{tensor.name}.shape"))
        name = self.fresh(f"{tensor.name}.reshaped")
        return self.program.emit("RESHAPE", [tensor, wanted], shape, name, scales=tensor.scales, newShape=list(shape))

    def turned(self, tensor: Tensor, perm: Order) -> Tensor:
        """Transposed; reshaped where that does not change the order of elements."""
        import numpy

        if perm == plain(len(perm)):
            return tensor
        shape = stored(tensor.shape, perm)
        if not moves_data(tensor.shape, perm):
            return self.reshaped(tensor, shape)
        operand = self.program.constant(numpy.array(perm, numpy.int32), self.fresh(f"{tensor.name}.perm"))
        return self.program.emit("TRANSPOSE", [tensor, operand], shape, self.fresh(f"{tensor.name}.transposed"), scales=tensor.scales)


def reshaped_order(before: tuple[int, ...], after: tuple[int, ...], order: Order) -> Order | None:
    """The order of a reshape's output where its input lies in `order`; None where the bytes would have to move."""
    return after_reshape(blocks_of(before, after), order)
