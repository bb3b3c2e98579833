"""Windows that move along two axes: ONNX's conventions for padding as LiteRT's.

LiteRT knows no padding (VALID) or its own (SAME, which on even sizes with stride 2 is not symmetric).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .node import TfliteNode

SAME, VALID = 0, 1
"""Numbers of the schema's Padding."""


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
    if len(sizes) == 1:
        pads, axes = [(0, 0), *pads], [(1, 1, 1, 1, 0, 1), *axes]
    size, k, stride, dilation, _, o = zip(*axes, strict=True)
    return Window(_two(k), _two(stride), _two(dilation), (pads[0], pads[1]), _two(size), _two(o))


def _two(values: Sequence[int]) -> tuple[int, int]:
    return values[0], values[1]


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
