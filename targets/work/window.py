"""Where the windows of a pool lie over its input: how many elements each one has there. Pure functions, one axis at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..operator_view import AttributeValue


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows along one axis of the input."""

    extent: int
    """Of the input."""
    kernel: int
    stride: int
    dilation: int
    begin: int
    """Padding before the first element; windows start there."""
    end: int
    """Padding that is stated behind the last element."""

    def within(self, position: int, low: int, high: int) -> int:
        """How many elements of a window lie from `low` on and before `high`, counted from the input's first element."""
        start = position * self.stride - self.begin
        first = max(-((start - low) // self.dilation), 0)
        return max(min(-((start - high) // self.dilation), self.kernel) - first, 0)

    def overlap(self, position: int) -> int:
        """How many elements of a window lie in the input."""
        return self.within(position, 0, self.extent)

    def counted(self, position: int) -> int:
        """How many lie in the input or its stated padding: what count_include_pad divides by, ceil_mode adds nothing."""
        return self.within(position, -self.begin, self.extent + self.end)


def windows(extents: Sequence[int], attributes: Mapping[str, AttributeValue]) -> tuple[Windows, ...] | None:
    """Of each spatial axis; None where the attributes do not fit the input."""
    rank = len(extents)
    kernel, pads = _each(attributes, "kernel_shape", rank), _each(attributes, "pads", 2 * rank, 0)
    strides, dilations = _each(attributes, "strides", rank, 1), _each(attributes, "dilations", rank, 1)
    if kernel is None or pads is None or strides is None or dilations is None or min(*kernel, *strides, *dilations, 1) < 1:
        return None
    auto, found = attributes.get("auto_pad", "NOTSET"), []
    for axis, extent in enumerate(extents):
        begin, end = (0, 0) if auto == "VALID" else (pads[axis], pads[rank + axis])
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            reach, positions = (kernel[axis] - 1) * dilations[axis] + 1, -(-extent // strides[axis])
            total = max((positions - 1) * strides[axis] + reach - extent, 0)
            begin = total // 2 if auto == "SAME_UPPER" else total - total // 2
            end = total - begin
        found.append(Windows(extent, kernel[axis], strides[axis], dilations[axis], begin, end))
    return tuple(found)


def _each(attributes: Mapping[str, AttributeValue], name: str, count: int, default: int | None = None) -> tuple[int, ...] | None:
    value = attributes.get(name)
    if value is None and default is not None:
        return (default,) * count
    return tuple(int(item) for item in value) if isinstance(value, tuple) and len(value) == count else None
