"""Depthwise convolutions of large windows.

XNNPACK's depthwise kernels have up to 25 places. A window with more runs there as so many convolutions of one channel, sixteen times slower
and more (1.1 ms instead of 0.12 for 75 places of 256 channels, 100 long). In parts of up to 25 places, whose results are added, it runs
on the depthwise kernels.
"""

from __future__ import annotations

from collections.abc import Iterator

from .elementwise import joined
from .node import FLOAT, TfliteNode
from .pieces import reached
from .records import Tensor
from .window import VALID, Window

MOST_PLACES = 25


def in_parts(kernel: tuple[int, int]) -> Iterator[tuple[range, range]]:
    """Rows and columns of a window's parts: of as many whole rows as fit, of pieces of rows where not even one does."""
    rows, columns = kernel
    height, width = max(1, MOST_PLACES // columns), min(columns, MOST_PLACES)
    for top in range(0, rows, height):
        for left in range(0, columns, width):
            yield range(top, min(top + height, rows)), range(left, min(left + width, columns))


def depthwise_in_parts(node: TfliteNode, x: Tensor, kernel: Tensor, bias: Tensor, w: Window) -> Tensor:
    """The sum of what each part sees of `x`. `kernel` [1, H, W, C] is constant; one result a channel. Raises Refused where the window sees
    nothing of `x`."""
    assert kernel.data is not None
    shape, result = (x.shape[0], *w.out, x.shape[3]), None
    options = {**w.options(VALID), **w.dilation_options(), "depthMultiplier": 1}
    for rows, columns in in_parts(w.kernel):
        spans = [_met(w, axis, places) for axis, places in enumerate((rows, columns))]
        if any(span.stop <= 0 or span.start >= size for span, size in zip(spans, w.sizes, strict=True)):
            continue  # padding alone
        seen = reached(node, x, [range(x.shape[0]), *spans, range(x.shape[3])])
        weights = node.numbers(kernel.data[:, rows.start : rows.stop, columns.start : columns.stop], FLOAT)
        added = bias if result is None else node.numbers([0.0] * x.shape[3], FLOAT)
        made = node.emit("DEPTHWISE_CONV_2D", [seen, weights, added], shape, **options)
        result = made if result is None else joined(node, "ADD", result, made)
    if result is None:
        raise node.refuse("a window that lies wholly in the padding is not converted")
    return result


def _met(w: Window, axis: int, places: range) -> range:
    """What these places of the window meet along one axis, beyond the input's ends too."""
    start = places.start * w.dilations[axis] - w.pads[axis][0]
    return range(start, start + (w.out[axis] - 1) * w.strides[axis] + (len(places) - 1) * w.dilations[axis] + 1)
