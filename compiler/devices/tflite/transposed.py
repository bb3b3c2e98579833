"""Transposed convolutions, and channels that become pixels or come from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .integers.weights import weight_scales
from .node import FLOAT, Converter, TfliteNode
from .order import channels_last, plain, stored
from .pieces import reached, sliced, split
from .records import Tensor
from .spatial import bias_of, plane, write_plane
from .window import SAME, VALID

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

BLOCK = 16
"""Channels that XNNPACK's products compute at once: one channel takes as long."""
PHASE_BY_PHASE = 1.7
"""How many times longer TRANSPOSE_CONV with strides takes than a convolution of as many operations (LiteRT 2.3.0 on x86-64, twelve
sizes: 1.6 to 2.0)."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A transposed convolution's two spatial axes; `begins`: rows and columns that are cut off in front."""

    sizes: tuple[int, ...]
    out: tuple[int, ...]
    strides: tuple[int, ...]
    kernel: tuple[int, ...]
    begins: tuple[int, ...]


def _conv_transpose(node: TfliteNode) -> None:
    """Computed whole and cut to size, unless LiteRT's SAME is the same; a group at a time; dilated by zeros in the kernel."""
    groups = node.attribute("group", 1)
    if node.dtype(0) != FLOAT and (node.scales(0) is None or groups > 1):
        raise node.refuse(f"{node.dtype(0)} is not converted" + (" in groups" if groups > 1 else ""))
    sizes, out = node.shape(0)[2:], node.out_shape()[2:]
    if len(sizes) not in (1, 2):
        raise node.refuse(f"{len(sizes)} spatial dims are not converted, only 1 and 2")
    weights, lead = _weights(node), (1,) * (2 - len(sizes))
    strides = (*lead, *node.attribute("strides", [1] * len(sizes)))
    kernel = weights.shape[1:3]
    begins = (*(0 for _ in lead), *_begins(node, sizes, out, kernel[len(lead) :], strides[len(lead) :]))
    form = Grown((*lead, *sizes), (*lead, *out), strides, kernel, begins)
    x, per, each = plane(node), node.shape(0)[1] // groups, weights.shape[0]
    parts = [(x, weights, bias_of(node, each * groups, 1))]
    if groups > 1 and per == 1 and x.scales is None and parts[0][1].data is not None and parts[0][2].data is not None:
        write_plane(node, _by_phases(node, x, parts[0][1].data, parts[0][2].data, form, groups))
        return
    if groups > 1:
        pieces = split(node, x, 3, [per] * groups), split(node, weights, 3, [per] * groups)
        parts = list(zip(*pieces, _biases(node, each, groups), strict=True))
    made = [_transposed(node, *part, form) for part in parts]
    write_plane(node, made[0] if groups == 1 else node.emit("CONCATENATION", made, (x.shape[0], *form.out, each * groups), axis=3))


def _biases(node: TfliteNode, each: int, groups: int) -> Sequence[Tensor]:
    whole = bias_of(node, each * groups)
    if whole.data is None:
        return split(node, whole, 0, [each] * groups)
    return [node.numbers(whole.data[k * each : (k + 1) * each], FLOAT) for k in range(groups)]


def _weights(node: TfliteNode) -> Tensor:
    """[O, H, W, I] of ONNX's [I, O, H, W], all groups' inputs one after the other. Raises Refused for dilations of computed weights."""
    shape = node.shape(1)
    dilations = (*(1,) * (4 - len(shape)), *node.attribute("dilations", [1] * (len(shape) - 2)))
    if node.is_constant(1):
        values = node.constant(1)
        values = values if values.ndim == 4 else values[:, :, None, :]
        return node.numbers(_dilated(values, dilations).transpose(1, 2, 3, 0), values.dtype.name, weight_scales(node, 1, 1, 0))
    if set(dilations) != {1}:
        raise node.refuse("dilations of weights that are computed are not converted")
    read = node.read(1, plain(len(shape)))
    return node.transpose(read if read.rank == 4 else node.reshape(read, (*shape[:2], 1, shape[2])), (1, 2, 3, 0))


def _transposed(node: TfliteNode, x: Tensor, weights: Tensor, bias: Tensor, g: Grown) -> Tensor:
    channels = weights.shape[0]
    if x.scales is None and weights.data is not None and bias.data is not None and _pays_by_phases(g, channels):
        return _by_phases(node, x, weights.data, bias.data, g)
    axes = list(zip(g.sizes, g.out, g.strides, g.kernel, g.begins, strict=True))
    same = all(out == n * s and max((n - 1) * s + k - out, 0) // 2 == b and k >= s for n, out, s, k, b in axes)
    full = [out if same else max((n - 1) * s + k, out + b) for n, out, s, k, b in axes]
    if not same and any(size >= (n - 1) * s + k + s for size, (n, _, s, k, _) in zip(full, axes, strict=True)):
        raise node.refuse("an output padding of a stride or more is not converted")
    shape, scales = (x.shape[0], *full, channels), node.out_scales
    options = {"padding": SAME if same else VALID, "strideH": g.strides[0], "strideW": g.strides[1]}
    made = node.emit("TRANSPOSE_CONV", [node.numbers(list(shape)), weights, x, bias], shape, dtype=x.dtype, scales=scales, **options)
    cut = [range(0, size) if same else range(b, b + out) for size, (_, out, _, _, b) in zip(full, axes, strict=True)]
    return sliced(node, made, [range(shape[0]), *cut, range(channels)])


def _pays_by_phases(g: Grown, channels: int) -> bool:
    """Whether one convolution computes less than TRANSPOSE_CONV, which XNNPACK runs phase by phase, each on its own blocks of channels."""

    def blocks(count: int) -> int:
        return -(-count // BLOCK)

    phases, places = math.prod(g.strides), math.prod(_taps(g))
    return phases > 1 and places * blocks(phases * channels) < PHASE_BY_PHASE * math.prod(g.kernel) * blocks(channels)


def _taps(g: Grown) -> tuple[int, ...]:
    """Places of the input, along each axis, that one element of the output is computed from."""
    return tuple(-(-k // s) for k, s in zip(g.kernel, g.strides, strict=True))


def _by_phases(node: TfliteNode, x: Tensor, weights: Array, bias: Array, g: Grown, groups: int = 1) -> Tensor:
    """A convolution that has the elements between two strides (the phases) as channels, which become rows and columns behind it. groups:
    1, or as many as channels: then each phase is a depthwise convolution."""
    channels, phases = weights.shape[0] * groups, math.prod(g.strides)
    axes = list(zip(g.sizes, g.out, g.strides, _taps(g), g.begins, strict=True))
    firsts = [b // s for _, _, s, _, b in axes]
    counts = [(b + out - 1) // s - first + 1 for (_, out, s, _, b), first in zip(axes, firsts, strict=True)]
    spans = [range(a - n + 1, a + c) for (_, _, _, n, _), a, c in zip(axes, firsts, counts, strict=True)]
    x = reached(node, x, [range(x.shape[0]), *spans, range(x.shape[3])])
    made = (_in_one if groups == 1 else _each_alone)(node, x, _phased(weights, g), bias, (x.shape[0], *counts), phases)
    spread = _spread(node, made, g.strides, channels)
    cut = [range(b - a * s, b - a * s + out) for (_, out, s, _, b), a in zip(axes, firsts, strict=True)]
    return sliced(node, spread, [range(x.shape[0]), *cut, range(channels)])


PLAIN_WINDOW = {"padding": VALID, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}


def _in_one(node: TfliteNode, x: Tensor, weights: Array, bias: Array, places: tuple[int, ...], phases: int) -> Tensor:
    import numpy

    operands = [x, node.numbers(weights, FLOAT), node.numbers(numpy.tile(bias, phases), FLOAT)]
    return node.emit("CONV_2D", operands, (*places, len(weights)), **PLAIN_WINDOW)


def _each_alone(node: TfliteNode, x: Tensor, weights: Array, bias: Array, places: tuple[int, ...], phases: int) -> Tensor:
    """A phase after the other: the channels of a depthwise convolution lie in the order of its input's."""
    each, channels = len(weights) // phases, x.shape[3]
    apart = weights.reshape(phases, each, *weights.shape[1:]).transpose(0, 2, 3, 4, 1).reshape(phases, 1, *weights.shape[1:3], -1)
    shape, options = (*places, channels * each), {**PLAIN_WINDOW, "depthMultiplier": each}
    added = node.numbers(bias, FLOAT)
    made = [node.emit("DEPTHWISE_CONV_2D", [x, node.numbers(kernel, FLOAT), added], shape, **options) for kernel in apart]
    return made[0] if phases == 1 else node.emit("CONCATENATION", made, (*places, phases * channels * each), axis=3)


def _phased(weights: Array, g: Grown) -> Array:
    """[phases · O, taps, taps, I] of [O, H, W, I]: what each phase has of the kernel, its end first."""
    import numpy

    taps, (rows, columns), (o, _, _, i) = _taps(g), g.strides, weights.shape
    whole = numpy.zeros((o, taps[0] * rows, taps[1] * columns, i), weights.dtype)
    whole[:, : g.kernel[0], : g.kernel[1]] = weights
    apart = whole.reshape(o, taps[0], rows, taps[1], columns, i)[:, ::-1, :, ::-1]
    return apart.transpose(2, 4, 0, 1, 3, 5).reshape(rows * columns * o, *taps, i)


def _spread(node: TfliteNode, x: Tensor, strides: Sequence[int], channels: int) -> Tensor:
    """[N, H · rows, W · columns, C] of [N, H, W, rows · columns · C]."""
    n, height, width, _ = x.shape
    rows, columns = strides
    shape = (n, height * rows, width * columns, channels)
    if rows == 1:
        return node.reshape(x, shape)
    if rows == columns:
        return node.emit("DEPTH_TO_SPACE", [x], shape, blockSize=rows)
    apart = node.reshape(x, (n * height, width, rows, columns * channels))
    return node.reshape(node.transpose(apart, (0, 2, 1, 3)), shape)


def _dilated(values: Array, dilations: Sequence[int]) -> Array:
    import numpy

    if set(dilations) == {1}:
        return values
    height, width = ((k - 1) * d + 1 for k, d in zip(values.shape[2:], dilations, strict=True))
    wide = numpy.zeros((*values.shape[:2], height, width), values.dtype)
    wide[:, :, :: dilations[0], :: dilations[1]] = values
    return wide


def _begins(node: TfliteNode, sizes: Any, out: Any, kernel: Any, strides: Any) -> list[int]:
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


def _depth_to_space(node: TfliteNode) -> None:
    """LiteRT's order is DCR; for CRD the channels are put into it in front."""
    block, x = node.attribute("blocksize"), node.read(0, channels_last(4))
    if node.attribute("mode", "DCR") == "CRD":
        x = _regrouped(node, x, block * block)
    shape = stored(node.out_shape(), channels_last(4))
    node.write(node.emit("DEPTH_TO_SPACE", [x], shape, blockSize=block), order=channels_last(4))


def _space_to_depth(node: TfliteNode) -> None:
    """LiteRT's order is that of mode DCR; for CRD the channels are put into the other behind."""
    block, shape = node.attribute("blocksize"), stored(node.out_shape(), channels_last(4))
    made = node.emit("SPACE_TO_DEPTH", [node.read(0, channels_last(4))], shape, blockSize=block)
    if node.attribute("mode", "DCR") == "CRD":
        made = _regrouped(node, made, shape[3] // (block * block))
    node.write(made, order=channels_last(4))


def _regrouped(node: TfliteNode, x: Tensor, inner: int) -> Tensor:
    """The channels, of which so many each belong together, with all first ones first. (GATHER takes up to ten times as long.)"""
    apart = node.reshape(x, (math.prod(x.shape[:3]), x.shape[3] // inner, inner))
    return node.reshape(node.transpose(apart, (0, 2, 1)), x.shape)


TRANSPOSED: Mapping[str, Converter] = {
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
