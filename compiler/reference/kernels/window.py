"""Where the windows of convolutions and pools lie: padding, strides, dilations, the number of positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from .call import Call, Value


@dataclass(frozen=True, slots=True)
class Axis:
    """The windows along one spatial axis."""

    kernel: int
    stride: int
    dilation: int
    begin: int
    """Padding before the first element; negative cuts."""
    end: int
    positions: int

    @property
    def reach(self) -> int:
        """Elements from the first to the last of one window."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def span(self) -> int:
        """Padded elements that the windows touch."""
        return max((self.positions - 1) * self.stride + self.reach, 0)

    def tap(self, index: int) -> slice:
        """The padded elements that lie at that index of each window."""
        start = index * self.dilation
        return slice(start, start + (self.positions - 1) * self.stride + 1, self.stride)


def axes(call: Call, sizes: Sequence[int], kernel: Sequence[int]) -> tuple[Axis, ...]:
    """Of a convolution or pool over those spatial sizes."""
    rank = len(sizes)
    strides = call.attributes.get("strides") or [1] * rank
    dilations = call.attributes.get("dilations") or [1] * rank
    pads = call.attributes.get("pads") or [0] * (2 * rank)
    return tuple(
        _axis(call, size, kernel[i], strides[i], dilations[i], (pads[i], pads[i + rank])) for i, size in enumerate(sizes)
    )  # fmt: skip


def _axis(call: Call, size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]) -> Axis:
    auto = call.attributes.get("auto_pad", "NOTSET")
    reach = (kernel - 1) * dilation + 1
    if auto.startswith("SAME"):
        positions = -(-size // stride)
        total = max((positions - 1) * stride + reach - size, 0)
        small = total // 2
        begin, end = (small, total - small) if auto == "SAME_UPPER" else (total - small, small)
        return Axis(kernel, stride, dilation, begin, end, positions)
    begin, end = (0, 0) if auto == "VALID" else pads
    free = size + begin + end - reach
    positions = free // stride + 1
    if call.attributes.get("ceil_mode", 0):
        positions = -(-free // stride) + 1
        # A window that would start in the padding behind the tensor does not exist.
        positions -= (positions - 1) * stride >= size + begin
    return Axis(kernel, stride, dilation, begin, end, max(positions, 0))


def padded(x: Value, windows: Sequence[Axis], value: float) -> Value:
    """x with its spatial axes (the last ones) padded, or cut, to what the windows touch."""
    lead = x.ndim - len(windows)
    shape = (*x.shape[:lead], *(window.span for window in windows))
    if shape == x.shape and not any(window.begin for window in windows):
        return x
    result = np.full(shape, value, x.dtype)
    into, of = [slice(None)] * lead, [slice(None)] * lead
    for window, size in zip(windows, x.shape[lead:], strict=True):
        first, last = max(window.begin, 0), min(window.begin + size, window.span)
        into.append(slice(first, max(first, last)))
        of.append(slice(first - window.begin, max(first, last) - window.begin))
    result[tuple(into)] = x[tuple(of)]
    return result


def taps(windows: Sequence[Axis]) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Every index in a window, with the slices of the padded spatial axes that lie there."""
    for index in product(*(range(window.kernel) for window in windows)):
        yield index, tuple(window.tap(i) for window, i in zip(windows, index, strict=True))


def view(x: Value, windows: Sequence[Axis]) -> Value:
    """[..., positions…, kernel…] of a padded tensor, without a copy."""
    lead, rank = x.ndim - len(windows), len(windows)
    spans = tuple(window.reach for window in windows)
    found = np.lib.stride_tricks.sliding_window_view(x, spans, axis=tuple(range(lead, x.ndim)))
    steps = (*[slice(None)] * lead, *(slice(None, None, w.stride) for w in windows), *(slice(None, None, w.dilation) for w in windows))
    return found[steps][(*[slice(None)] * lead, *(slice(0, w.positions) for w in windows), *[slice(None)] * rank)]
