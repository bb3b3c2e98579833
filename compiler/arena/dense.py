"""Greedy placement of thousands of buffers with numpy: no list of pairs, each buffer is held against all that are placed at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .buffer import Buffer


def work_of(count: int) -> int:
    """What placing so many buffers costs, in member visits of the search."""
    return count * count // 50 + 100 * count


def pack(buffers: Sequence[Buffer], bound: int, work: int) -> list[int]:
    """Offsets by the best of some orders: the first always runs, others while `work` member visits last and `bound` is not reached."""
    best, lowest = [0] * len(buffers), -1
    order, offsets = list(range(len(buffers))), best
    orders = _orders(buffers)
    once = spent = work_of(len(buffers))
    while lowest < 0 or (lowest > bound and spent <= work):
        order = next(orders, []) or _promoted(buffers, order, offsets, bound)
        offsets = _place(buffers, order)
        height = max(offset + b.bytes for offset, b in zip(offsets, buffers, strict=True))
        spent += once
        if lowest < 0 or height < lowest:
            best, lowest = offsets, height
    return best


def _orders(buffers: Sequence[Buffer]) -> Iterator[list[int]]:
    """Largest first, last in coming back as the base of what follows. Ties by first use: other ties cost 1 to 3 % on training graphs."""
    everyone = range(len(buffers))
    born = [b.lifetime[0] for b in buffers]
    area = [b.bytes * (b.lifetime[1] - b.lifetime[0] + 1) for b in buffers]
    by_size = sorted(everyone, key=lambda i: (-buffers[i].bytes, born[i], i))
    yield by_size
    yield sorted(everyone, key=lambda i: (-area[i], -buffers[i].bytes, born[i], i))
    yield sorted(everyone, key=lambda i: (born[i], -buffers[i].bytes, i))
    yield by_size


def _promoted(buffers: Sequence[Buffer], order: Sequence[int], offsets: Sequence[int], bound: int) -> list[int]:
    """The order with those that end above `bound` in front of it: what was placed badly is placed early."""
    return sorted(order, key=lambda i: offsets[i] + buffers[i].bytes <= bound)


def _place(buffers: Sequence[Buffer], order: Sequence[int]) -> list[int]:
    """Each at its lowest gap, in that order. What is placed lies in arrays sorted by offset."""
    import numpy as np

    count = len(buffers)
    placed = np.zeros((4, count), np.int64)  # begin, end, first step, last step
    found = [0] * count
    for done, i in enumerate(order):
        (first, last), size, align = buffers[i].lifetime, buffers[i].bytes, buffers[i].align
        live = np.flatnonzero((placed[2, :done] <= last) & (placed[3, :done] >= first))
        begins = placed[0, live]
        cursors = np.zeros(len(live) + 1, np.int64)  # the lowest free byte below each of them, and above all
        np.maximum.accumulate(placed[1, live], out=cursors[1:])
        if align > 1:
            cursors = -(-cursors // align) * align
        fits = begins - cursors[:-1] >= size
        gap = int(fits.argmax()) if fits.any() else len(live)
        offset = found[i] = int(cursors[gap])
        at = int(placed[0, :done].searchsorted(offset))
        placed[:, at + 1 : done + 1] = placed[:, at:done].copy()
        placed[:, at] = offset, offset + size, first, last
    return found
