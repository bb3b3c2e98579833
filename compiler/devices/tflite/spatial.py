"""Convolutions and pools: ONNX's conventions for padding as LiteRT's.

LiteRT knows no padding (VALID) or its own (SAME, which on even sizes with stride 2 is not symmetric): any other is a PAD in front.
What has one spatial axis is done with a second one of size 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .movement import gathered, padded, sliced
from .node import FLOAT, Converter, TfliteNode
from .order import channels_last, stored
from .program import Tensor
from .elementwise import joined
from .movement import split

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

SAME, VALID = 0, 1
LOWEST = -3.4028234663852886e38


@dataclass(frozen=True, slots=True)
class Window:
    """For each of the two spatial axes; `pads` as (begin, end), those that the output's size needs."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]
    sizes: tuple[int, int]
    out: tuple[int, int]

    @property
    def reach(self) -> tuple[int, int]:
        a, b = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))
        return a, b

    @property
    def is_same(self) -> bool:
        """Whether LiteRT's SAME pads as much, at the same ends."""
        axes = zip(self.sizes, self.out, self.strides, self.reach, self.pads, strict=True)
        return all(out == -(-size // s) and pads == _same(size, out, s, reach) for size, out, s, reach, pads in axes)

    def options(self, padding: int) -> dict[str, int]:
        return {"padding": padding, "strideH": self.strides[0], "strideW": self.strides[1]}

    def dilation_options(self) -> dict[str, int]:
        return {"dilationHFactor": self.dilations[0], "dilationWFactor": self.dilations[1]}


def _same(size: int, out: int, stride: int, reach: int) -> tuple[int, int]:
    total = max((out - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def window(node: TfliteNode, kernel: Sequence[int]) -> Window:
    """Raises Refused for more than two spatial axes. The pads at the end are what the output's size leaves, so that ceil_mode and floor
    need no case of their own."""
    sizes, out = node.shape(0)[2:], node.out_shape()[2:]
    if len(sizes) not in (1, 2):
        raise node.refuse(f"{len(sizes)} spatial dims are not converted, only 1 and 2")
    strides, dilations = (list(node.attribute(name, [1] * len(sizes))) for name in ("strides", "dilations"))
    begins = _begins(node, sizes, kernel, strides, dilations)
    axes = list(zip(sizes, kernel, strides, dilations, begins, out, strict=True))
    ends = [(o - 1) * s + (k - 1) * d + 1 - size - begin for size, k, s, d, begin, o in axes]
    pads = list(zip(begins, ends, strict=True))
    if min(begins) < 0:
        raise node.refuse("negative pads are not converted")
    lead = 2 - len(sizes)
    return Window(
        (*(1,) * lead, *kernel), (*(1,) * lead, *strides), (*(1,) * lead, *dilations), (*((0, 0),) * lead, *pads),
        (*(1,) * lead, *sizes), (*(1,) * lead, *out),
    )  # type: ignore[arg-type] # fmt: skip


def _begins(node: TfliteNode, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[int]:
    """Padding in front. SAME_UPPER and SAME_LOWER: ONNX's definition, the output is ceil(size / stride)."""
    mode = node.attribute("auto_pad", "NOTSET")
    if mode == "VALID":
        return [0] * len(sizes)
    if mode == "NOTSET":
        return list(node.attribute("pads", [0] * (2 * len(sizes))))[: len(sizes)]
    found = []
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        found.append(total // 2 if mode == "SAME_UPPER" else total - total // 2)
    return found


def plane(node: TfliteNode, index: int = 0) -> Tensor:
    """An input as NHWC, where it has one spatial axis too."""
    shape = node.shape(index)
    x = node.read(index, channels_last(len(shape)))
    return x if x.rank == 4 else node.reshape(x, (x.shape[0], 1, *x.shape[1:]))


def write_plane(node: TfliteNode, made: Tensor) -> None:
    shape = node.out_shape()
    order = channels_last(len(shape))
    node.write(node.reshape(made, stored(shape, order)), order=order)


def _enclosed(node: TfliteNode, x: Tensor, w: Window, value: float = 0) -> Tensor:
    """Padded or cut so that no window is partly outside."""
    spans = [range(size + min(end, 0)) for size, (_, end) in zip(w.sizes, w.pads, strict=True)]
    x = sliced(node, x, [range(x.shape[0]), *spans, range(x.shape[3])])
    return padded(node, x, [(0, 0), *((a, max(b, 0)) for a, b in w.pads), (0, 0)], value)


def _conv(node: TfliteNode) -> None:
    if node.dtype(0) != FLOAT:
        raise node.refuse(f"{node.dtype(0)} is not converted")
    shape = node.shape(1)
    w, groups = window(node, shape[2:]), node.attribute("group", 1)
    x = plane(node)
    padding = SAME if w.is_same else VALID
    x = x if padding == SAME else _enclosed(node, x, w)
    target = (x.shape[0], *w.out, shape[0])
    depthwise = groups == node.shape(0)[1] and groups > 1
    kernel = _kernel(node, 1, (3, 1, 2, 0) if depthwise else (0, 2, 3, 1), depthwise)
    options = {**w.options(padding), **w.dilation_options()}
    if depthwise:
        made = node.emit("DEPTHWISE_CONV_2D", [x, kernel, _bias(node, shape[0])], target, depthMultiplier=shape[0] // groups, **options)
    else:
        made = node.emit("CONV_2D", [x, kernel, _bias(node, shape[0])], target, **options)
    write_plane(node, made)


def _kernel(node: TfliteNode, index: int, order: tuple[int, ...], depthwise: bool = False) -> Tensor:
    """Weights with two spatial axes, in LiteRT's order: [O, H, W, I] of ONNX's [O, I, H, W], depthwise [1, H, W, O]."""
    shape = node.shape(index)
    if node.is_constant(index):
        values = node.constant(index)
        values = values if values.ndim == 4 else values[:, :, None, :]
        return node.numbers((values.transpose(1, 2, 3, 0) if depthwise else values.transpose(order)), values.dtype.name)
    weights = node.read(index, tuple(range(len(shape))))
    weights = weights if weights.rank == 4 else node.reshape(weights, (*shape[:2], 1, shape[2]))
    return node.transpose(weights, (1, 2, 3, 0) if depthwise else order)


def _bias(node: TfliteNode, size: int) -> Tensor:
    """Zeros where there is none: LiteRT's convolutions refuse to go without."""
    import numpy

    if node.has(2) and not node.is_constant(2):
        return node.read(2)
    return node.numbers(node.constant(2) if node.has(2) else numpy.zeros(size), FLOAT)


def _conv_transpose(node: TfliteNode) -> None:
    """Computed whole and cut to size, unless LiteRT's SAME is the same; a group at a time; dilated by zeros in the kernel."""
    values, groups = node.constant(1), node.attribute("group", 1)
    if node.dtype(0) != FLOAT:
        raise node.refuse(f"{node.dtype(0)} is not converted")
    sizes, out = node.shape(0)[2:], node.out_shape()[2:]
    if len(sizes) not in (1, 2):
        raise node.refuse(f"{len(sizes)} spatial dims are not converted, only 1 and 2")
    values, lead = (values if values.ndim == 4 else values[:, :, None, :]), (1,) * (2 - len(sizes))
    strides = (*lead, *node.attribute("strides", [1] * len(sizes)))
    values = _dilated(values, (*lead, *node.attribute("dilations", [1] * len(sizes))))
    begins = (*(0 for _ in lead), *_begins_of_transposed(node, sizes, out, values.shape[4 - len(sizes) :], strides[2 - len(sizes) :]))
    sizes, out, kernel = (*lead, *sizes), (*lead, *out), values.shape[2:]
    x, per = plane(node), node.shape(0)[1] // groups
    bias = node.constant(2) if node.has(2) else None
    made = []
    for group, part in enumerate([x] if groups == 1 else split(node, x, 3, [per] * groups)):
        weights = values[group * per : (group + 1) * per]
        own = None if bias is None else bias[group * weights.shape[1] : (group + 1) * weights.shape[1]]
        made.append(_transposed(node, part, weights, own, Grown(sizes, out, strides, kernel, begins)))  # type: ignore[arg-type]
    whole = made[0] if groups == 1 else node.emit("CONCATENATION", made, (x.shape[0], *out, values.shape[1] * groups), axis=3)
    write_plane(node, whole)


@dataclass(frozen=True, slots=True)
class Grown:
    """A transposed convolution's two spatial axes; `begins`: rows and columns that are cut off in front."""

    sizes: tuple[int, int]
    out: tuple[int, int]
    strides: tuple[int, int]
    kernel: tuple[int, int]
    begins: tuple[int, int]


def _transposed(node: TfliteNode, x: Tensor, weights: Array, bias: Array | None, g: Grown) -> Tensor:
    import numpy

    channels = weights.shape[1]
    axes = list(zip(g.sizes, g.out, g.strides, g.kernel, g.begins, strict=True))
    same = all(out == n * s and max((n - 1) * s + k - out, 0) // 2 == b and k >= s for n, out, s, k, b in axes)
    full = [out if same else max((n - 1) * s + k, out + b) for n, out, s, k, b in axes]
    if not same and any(size >= (n - 1) * s + k + s for size, (n, _, s, k, _) in zip(full, axes, strict=True)):
        raise node.refuse("an output padding of a stride or more is not converted")
    shape = (x.shape[0], *full, channels)
    operands = [node.numbers(list(shape)), node.numbers(weights.transpose(1, 2, 3, 0), FLOAT), x]
    operands.append(node.numbers(numpy.zeros(channels) if bias is None else bias, FLOAT))
    made = node.emit(
        "TRANSPOSE_CONV", operands, shape, dtype=x.dtype, padding=SAME if same else VALID, strideH=g.strides[0], strideW=g.strides[1]
    )
    cut = [range(0, size) if same else range(b, b + out) for size, (_, out, _, _, b) in zip(full, axes, strict=True)]
    return sliced(node, made, [range(shape[0]), *cut, range(channels)])


def _dilated(values: Array, dilations: Sequence[int]) -> Array:
    import numpy

    if set(dilations) == {1}:
        return values
    height, width = ((k - 1) * d + 1 for k, d in zip(values.shape[2:], dilations, strict=True))
    wide = numpy.zeros((*values.shape[:2], height, width), values.dtype)
    wide[:, :, :: dilations[0], :: dilations[1]] = values
    return wide


def _begins_of_transposed(node: TfliteNode, sizes: Any, out: Any, kernel: Any, strides: Any) -> list[int]:
    """What is cut off in front. With output_shape or SAME the total follows from the size; ONNX puts the larger half at the end with
    SAME_UPPER, in front else."""
    mode = node.attribute("auto_pad", "NOTSET")
    if mode == "NOTSET" and node.attribute("output_shape") is None:
        return list(node.attribute("pads", [0] * (2 * len(sizes))))[: len(sizes)]
    if mode == "VALID":
        return [0] * len(sizes)
    extra = node.attribute("output_padding", [0] * len(sizes))
    found = []
    for n, o, k, s, e in zip(sizes, out, kernel, strides, extra, strict=True):
        total = max((n - 1) * s + k + e - o, 0)
        found.append(total // 2 if mode == "SAME_UPPER" else total - total // 2)
    return found


def _max_pool(node: TfliteNode) -> None:
    if len(node.proto.output) > 1 and node.proto.output[1]:
        raise node.refuse("the places of the largest elements are not converted")
    w = window(node, node.attribute("kernel_shape"))
    x = plane(node)
    if set(w.dilations) != {1}:
        write_plane(node, _dilated_pool(node, x, w))
        return
    padding = SAME if w.is_same else VALID
    x = x if padding == SAME else _enclosed(node, x, w, LOWEST)
    write_plane(node, _pooled(node, "MAX_POOL_2D", x, w, padding))


def _dilated_pool(node: TfliteNode, x: Tensor, w: Window) -> Tensor:
    """The maximum of what each place of the window sees."""
    x = _enclosed(node, x, w, LOWEST)
    result = None
    for row in range(w.kernel[0]):
        for column in range(w.kernel[1]):
            starts = (row * w.dilations[0], column * w.dilations[1])
            spans = [range(a, a + (o - 1) * s + 1, s) for a, o, s in zip(starts, w.out, w.strides, strict=True)]
            part = sliced(node, x, [range(x.shape[0]), *spans, range(x.shape[3])])
            result = part if result is None else joined(node, "MAXIMUM", result, part)
    if result is None:
        raise node.refuse("a window without elements is not converted")
    return result


def _pooled(node: TfliteNode, code: str, x: Tensor, w: Window, padding: int) -> Tensor:
    if x.dtype != FLOAT:
        raise node.refuse(f"{x.dtype} is not converted")
    shape = (x.shape[0], *w.out, x.shape[3])
    return node.emit(code, [x], shape, filterHeight=w.kernel[0], filterWidth=w.kernel[1], **w.options(padding))


def _average_pool(node: TfliteNode) -> None:
    """LiteRT's SAME counts what is inside alone. Else all of a padded window is averaged, times what makes it the average of those that
    ONNX counts."""
    w = window(node, node.attribute("kernel_shape"))
    if set(w.dilations) != {1}:
        raise node.refuse("dilations are not converted")
    x, inside = plane(node), not node.attribute("count_include_pad", 0)
    if inside and w.is_same:
        write_plane(node, _pooled(node, "AVERAGE_POOL_2D", x, w, SAME))
        return
    made = _pooled(node, "AVERAGE_POOL_2D", _enclosed(node, x, w), w, VALID)
    factors = _factors(node, w, inside)
    write_plane(node, made if (factors == 1).all() else joined(node, "MUL", made, node.numbers(factors, FLOAT)))


def _factors(node: TfliteNode, w: Window, inside: bool) -> Array:
    """The window's size over the number of elements that count, for each place of the output; what ceil_mode adds never counts."""
    import numpy

    rank = len(node.shape(0)) - 2
    stated = [0] * (2 * rank) if node.attribute("auto_pad", "NOTSET") != "NOTSET" else list(node.attribute("pads", [0] * (2 * rank)))
    ends = [0] * (2 - rank) + stated[rank:]
    per_axis = []
    for axis in range(2):
        begin, end = w.pads[axis]
        end = end if node.attribute("auto_pad", "NOTSET") != "NOTSET" else ends[axis]
        first, stop = (0, w.sizes[axis]) if inside else (-begin, w.sizes[axis] + end)
        starts = numpy.arange(w.out[axis]) * w.strides[axis] - begin
        counted = numpy.minimum(starts + w.kernel[axis], stop) - numpy.maximum(starts, first)
        per_axis.append(w.kernel[axis] / numpy.maximum(counted, 1))
    return numpy.outer(*per_axis).reshape(1, *w.out, 1)


def _depth_to_space(node: TfliteNode) -> None:
    """LiteRT's order is DCR; for CRD the channels are gathered in front."""
    import numpy

    block, x = node.attribute("blocksize"), node.read(0, channels_last(4))
    if node.attribute("mode", "DCR") == "CRD":
        channels = x.shape[3]
        places = numpy.arange(channels).reshape(-1, block * block).T.reshape(-1)
        x = gathered(node, x, 3, [int(place) for place in places])
    shape = stored(node.out_shape(), channels_last(4))
    node.write(node.emit("DEPTH_TO_SPACE", [x], shape, blockSize=block), order=channels_last(4))


def _space_to_depth(node: TfliteNode) -> None:
    shape = stored(node.out_shape(), channels_last(4))
    made = node.emit("SPACE_TO_DEPTH", [node.read(0, channels_last(4))], shape, blockSize=node.attribute("blocksize"))
    node.write(made, order=channels_last(4))


SPATIAL: Mapping[str, Converter] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "MaxPool": _max_pool,
    "SpaceToDepth": _space_to_depth,
}
