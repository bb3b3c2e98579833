"""Transposed convolutions, and channels that become pixels or come from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .indices import gathered
from .integers.weights import weight_scales
from .node import FLOAT, Converter, TfliteNode
from .order import channels_last, plain, stored
from .pieces import sliced, split
from .records import Tensor
from .spatial import SAME, VALID, bias_of, plane, write_plane

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


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
    """LiteRT's order is that of mode DCR; for CRD the channels are gathered behind."""
    import numpy

    block, shape = node.attribute("blocksize"), stored(node.out_shape(), channels_last(4))
    made = node.emit("SPACE_TO_DEPTH", [node.read(0, channels_last(4))], shape, blockSize=block)
    if node.attribute("mode", "DCR") == "CRD":
        places = numpy.arange(shape[3]).reshape(block * block, -1).T.reshape(-1)
        made = gathered(node, made, 3, [int(place) for place in places])
    node.write(made, order=channels_last(4))


TRANSPOSED: Mapping[str, Converter] = {
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
