"""Reshape-Transpose-Reshape as one shuffle of elements, and how DepthToSpace and SpaceToDepth are one.

A shuffle splits the elements by `shape` and puts these axes into `order`. Two of them move every element alike exactly when their
canonical forms agree: axes of extent 1 dropped, axes that stay neighbours merged.

    DepthToSpace DCR   [N, b, b, C, H, W]   (0, 3, 4, 1, 5, 2)   y[n, c, hb + i, wb + j] = x[n, (ib + j)·C + c, h, w]
    DepthToSpace CRD   [N, C, b, b, H, W]   (0, 1, 4, 2, 5, 3)   y[n, c, hb + i, wb + j] = x[n, cb² + ib + j, h, w]
    SpaceToDepth DCR   [N, C, H, b, W, b]   (0, 3, 5, 1, 2, 4)   y[n, (ib + j)·C + c, h, w] = x[n, c, hb + i, wb + j]
    SpaceToDepth CRD   [N, C, H, b, W, b]   (0, 1, 3, 5, 2, 4)   y[n, cb² + ib + j, h, w] = x[n, c, hb + i, wb + j]

SpaceToDepth has a mode from opset 28 on, and is DCR before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

Extent = int | None


@dataclass(frozen=True, slots=True)
class Shuffle:
    """Equal for equal movements, where it is canonical. An extent that is not known is None."""

    shape: tuple[Extent, ...]
    order: tuple[int, ...]

    @property
    def moves(self) -> bool:
        return self.order != tuple(range(len(self.order)))


def canonical(shape: Sequence[Extent], order: Sequence[int]) -> Shuffle:
    """The same movement with the fewest axes. At most one extent may be None."""
    kept = [k for k, extent in enumerate(shape) if extent != 1]
    rank = {axis: k for k, axis in enumerate(kept)}
    runs: list[list[int]] = []
    for axis in (axis for axis in order if axis in rank):
        if runs and rank[axis] == rank[runs[-1][-1]] + 1:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    merged = sorted(runs)
    return Shuffle(tuple(_product([shape[axis] for axis in run]) for run in merged), tuple(merged.index(run) for run in runs))


def _product(extents: Sequence[Extent]) -> Extent:
    known = [extent for extent in extents if extent is not None]
    return prod(known) if len(known) == len(extents) else None


def depth_to_space(shape: Sequence[Extent], block: int, mode: str) -> Shuffle | None:
    """DepthToSpace of x of this shape; None where its channels are not known or no multiple of the block."""
    if len(shape) != 4 or not shape[1] or shape[1] % block**2:
        return None
    n, _, h, w = shape
    c = shape[1] // block**2
    if mode == "CRD":
        return Shuffle((n, c, block, block, h, w), (0, 1, 4, 2, 5, 3))
    return Shuffle((n, block, block, c, h, w), (0, 3, 4, 1, 5, 2))


def space_to_depth(shape: Sequence[Extent], block: int, mode: str = "DCR") -> Shuffle | None:
    """SpaceToDepth of x of this shape; None where height and width are not known or no multiples of the block."""
    if len(shape) != 4 or not shape[2] or not shape[3] or shape[2] % block or shape[3] % block:
        return None
    order = (0, 1, 3, 5, 2, 4) if mode == "CRD" else (0, 3, 5, 1, 2, 4)
    return Shuffle((shape[0], shape[1], shape[2] // block, block, shape[3] // block, block), order)
