"""Pools and ConvTranspose whose output onnx infers in another size than the standard says and runtimes compute: spelled so that both agree.

Pools with ceil_mode, before opset 22: a window that would begin in the padding behind the last element is not computed, and onnx counts it.
ConvTranspose with auto_pad SAME_*: the output is input x stride whatever output_padding says, and onnx adds it. A wrong size goes on
through everything behind the node, so both are spelled with other pads, or without ceil_mode: the numbers stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

POOLS = frozenset({"AveragePool", "LpPool", "MaxPool"})
SAME = (b"SAME_UPPER", b"SAME_LOWER")
Sizes = Mapping[str, tuple[int, ...]]


def spell_windows_plainly(model: onnx.ModelProto) -> bool:
    """Changes nodes whose sizes are known, in a model with inferred types. True where it did: infer the types behind them again."""
    standard = ((node, sizes) for graph, sizes in _graphs(model.graph, {}) for node in graph.node if node.domain in ("", "ai.onnx"))
    return any([_spell(node, sizes) for node, sizes in standard])


def _graphs(graph: onnx.GraphProto, outer: Sizes) -> Iterator[tuple[onnx.GraphProto, Sizes]]:
    """The graph and its bodies, each with the shapes known in it."""
    sizes = dict(outer)
    for value in (*graph.input, *graph.value_info, *graph.output):
        shape = value.type.tensor_type.shape
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in shape.dim):
            sizes[value.name] = tuple(dim.dim_value for dim in shape.dim)
    sizes |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    yield graph, sizes
    for node in graph.node:
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                if body.node:
                    yield from _graphs(body, sizes)


def _spell(node: onnx.NodeProto, sizes: Sizes) -> bool:
    known = sizes.get(node.input[0]) if node.input else None
    if known is None or len(known) < 3:
        return False
    if node.op_type in POOLS:
        return _spell_pool(node, known[2:], sizes.get(node.output[0], ())[2:])
    return node.op_type == "ConvTranspose" and _spell_transposed(node, known[2:], sizes.get(node.input[1], ())[2:])


def _spell_pool(node: onnx.NodeProto, size: Sequence[int], inferred: Sequence[int]) -> bool:
    given = _Attributes(node, len(size))
    if not given.number("ceil_mode") or given.auto_pad != b"NOTSET" or len(given.list("kernel_shape", 1)) != len(size):
        return False
    begins, ends = given.list("pads", 0, 2)[: len(size)], given.list("pads", 0, 2)[len(size) :]
    axes = zip(size, given.extents("kernel_shape"), given.list("strides", 1), begins, ends, strict=True)
    found = [_Axis(*axis) for axis in axes]
    if tuple(axis.windows for axis in found) == tuple(inferred):
        return False
    if all(axis.floor == axis.windows for axis in found):
        given.replace({"ceil_mode": 0})
        return True
    cut = [axis.reach if axis.ceil > axis.windows else axis.end for axis in found]
    if min(cut) >= 0:
        given.replace({"pads": [*begins, *cut]})
        return True
    # a last window ends before the last element: no padding makes it the last one with ceil_mode 1
    full = [axis.end if axis.floor == axis.windows else axis.reach for axis in found]
    taken = all(end < kernel for end, kernel in zip(full, given.list("kernel_shape", 1), strict=True))
    if not taken or given.number("count_include_pad"):  # runtimes take no more padding; more of it would be averaged in
        return False
    given.replace({"ceil_mode": 0, "pads": [*begins, *full]})
    return True


@dataclass(frozen=True, slots=True)
class _Axis:
    """Of a pool, in elements."""

    size: int
    kernel: int
    stride: int
    begin: int
    end: int

    @property
    def room(self) -> int:
        return self.size + self.begin + self.end - self.kernel

    @property
    def floor(self) -> int:
        """Windows with ceil_mode 0."""
        return self.room // self.stride + 1

    @property
    def ceil(self) -> int:
        return -(-self.room // self.stride) + 1

    @property
    def windows(self) -> int:
        """With ceil_mode 1: those that begin before the padding at the end."""
        return self.ceil - ((self.ceil - 1) * self.stride >= self.size + self.begin)

    @property
    def reach(self) -> int:
        """The padding at the end with which the last window fits exactly."""
        return (self.windows - 1) * self.stride + self.kernel - self.size - self.begin


def _spell_transposed(node: onnx.NodeProto, size: Sequence[int], kernel: Sequence[int]) -> bool:
    given = _Attributes(node, len(size))
    extra = given.list("output_padding", 0)
    if given.auto_pad not in SAME or not any(extra) or given.has("output_shape") or len(kernel) != len(size):
        return False
    extents = given.extents("kernel_shape", kernel)
    every = zip(size, given.list("strides", 1), extents, extra, strict=True)
    totals = [stride * (n - 1) + more + extent - n * stride for n, stride, extent, more in every]
    if min(totals) < 0:
        return False  # the kernel does not reach that far
    small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
    given.replace({"auto_pad": "NOTSET", "pads": [*small, *large] if given.auto_pad == SAME[0] else [*large, *small]})
    return True


class _Attributes:
    """Of a node with windows over so many axes."""

    def __init__(self, node: onnx.NodeProto, axes: int) -> None:
        self._node, self._axes = node, axes
        self._known = {attribute.name: attribute for attribute in node.attribute}

    @property
    def auto_pad(self) -> bytes:
        return self._known["auto_pad"].s if self.has("auto_pad") else b"NOTSET"

    def has(self, name: str) -> bool:
        return name in self._known

    def number(self, name: str) -> int:
        return self._known[name].i if self.has(name) else 0

    def list(self, name: str, default: int, times: int = 1) -> Sequence[int]:
        return tuple(self._known[name].ints) if self.has(name) else (default,) * self._axes * times

    def extents(self, name: str, default: Sequence[int] = ()) -> Sequence[int]:
        """Elements that a window spans, dilation included."""
        kernel = tuple(self._known[name].ints) if self.has(name) else default
        return [(k - 1) * dilation + 1 for k, dilation in zip(kernel, self.list("dilations", 1), strict=True)]

    def replace(self, values: Mapping[str, int | str | Sequence[int]]) -> None:
        from onnx import helper

        kept = [attribute for attribute in self._node.attribute if attribute.name not in values]
        del self._node.attribute[:]
        self._node.attribute.extend((*kept, *(helper.make_attribute(name, value) for name, value in values.items())))
