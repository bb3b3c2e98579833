"""Matrices whose elements lie on grids of few steps already, because they were in few bits once: their integers are found again.

A checkpoint that was in 4 bits (GGUF, GPTQ, AWQ, HQQ) and is exported in floats has in each block of K elements at most 16 levels, equally
far apart. Lowest and highest of a block are both levels, so the step is their distance over a whole number up to 15. Each of 1 to 7 has a
multiple among 8 to 15, so that only these are tried, 15 first: most blocks have all 16 levels.

Of 256 levels those that quantisers use are tried: the largest element is 127 or 128 steps from 0 (GGUF's Q8_0), or lowest and highest are
255 apart; then what the least distance between two elements is a small multiple of (Q5_K, Q6_K).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .scales import AT_ONCE, limits, quantised
from .weights import Weight, restored

NEAR = 2.0**-7
"""Of the largest of a block: how far an element may be from its level. What was in 4 bits may have been rounded to bf16 since, by 2^-8."""
APART = 2.0**-3
"""Of a step, the same: levels have to be told apart. 32 elements that were never in 4 bits are never all so near to one of 16 levels."""
EXACT = 2.0**-21
"""Of the largest of a block: two roundings to fp32. No other number of steps is tried where elements are so near."""
TWICE = 2.0
"""0 is a level where that moves no element by more than TWICE what the levels are off, and EXACT."""
SAMPLE = 4
"""Rows of blocks that are looked at before all of a matrix is."""
MULTIPLES = 4
"""Up to which multiple of a step the least distance between two elements of a block may be."""
MOST_FINER = 15
"""Into how many parts a step may be cut for 0 to be a level."""


@dataclass(frozen=True, slots=True)
class _Levels:
    """Of blocks [blocks, elements]: element = low + step · stored; fp64."""

    low: np.ndarray
    step: np.ndarray
    stored: np.ndarray
    fits: np.ndarray
    near: np.ndarray
    """How far an element of each may be from its level."""


def own_grid(values: np.ndarray, axis: int, block: int, dtype: str) -> Weight | None:
    """The matrix in the integers that it was in before, a scale for each run of `block` elements along the axis, the last of which may be
    shorter; None where an element is further than NEAR from every level. Zero points are there where the levels of a block do not lie
    around 0, offsets where 0 lies between two levels."""
    if not on_levels(values, axis, block, dtype):
        return None
    moved = np.moveaxis(values, axis, 1)
    low, high = limits(dtype)
    parts: list[tuple[np.ndarray, ...]] = []
    for rows in _at_once(moved):
        part = _blocks(rows, block)
        levels = _levels(part, high - low)
        if not levels.fits.all():
            return None
        parts.append(_placed(part, levels, low, high))
    stored, *others = (np.concatenate(each) for each in zip(*parts, strict=True))
    scale, zero, offset = (np.moveaxis(each.reshape(len(moved), -1), 1, axis) for each in others)
    whole = quantised(np.moveaxis(stored.reshape(len(moved), -1)[:, : moved.shape[1]], 1, axis), 1.0, 0, dtype)
    between, fp32 = bool(offset.any()), np.ascontiguousarray(scale, np.float32)
    if between:
        return Weight(whole, fp32, axis, block, dtype, offset=np.ascontiguousarray(offset - zero * scale, np.float32))
    return Weight(whole, fp32, axis, block, dtype, zero=quantised(zero, 1.0, 0, dtype) if zero.any() else None)


def on_levels(values: np.ndarray, axis: int, block: int, dtype: str) -> bool:
    """Whether SAMPLE rows of blocks of a matrix lie on levels: of others none is likely to."""
    if values.ndim != 2 or not values.size:
        return False
    moved, (low, high) = np.moveaxis(values, axis, 1), limits(dtype)
    return bool(_levels(_blocks(moved[:: max(1, len(moved) // SAMPLE)], block), high - low).fits.all())


def change_of(weight: Weight, values: np.ndarray) -> float:
    """How far an element of a matrix is moved at most, in proportion to the largest of its block."""
    assert weight.axis is not None, "a weight in blocks"
    least = np.finfo(np.float32).tiny
    worst, rows = 0.0, zip(*(_at_once(np.moveaxis(each, weight.axis, 1)) for each in (restored(weight), values)), strict=True)
    for after, before in rows:
        moved, largest = (np.abs(_blocks(each, weight.block)).max(1) for each in (after - before, before))
        worst = max(worst, float((moved / np.maximum(largest, least)).max()))
    return worst


def _at_once(moved: np.ndarray) -> Iterator[np.ndarray]:
    """Some rows after the other, so that little is there in fp64."""
    step = max(1, AT_ONCE // moved.shape[1])
    return (moved[start : start + step] for start in range(0, len(moved), step))


def _blocks(rows: np.ndarray, block: int) -> np.ndarray:
    """[blocks, elements]; what lacks of the last ones of a row is the last element of it, which is a level."""
    lacking = -rows.shape[1] % block
    filled = np.pad(rows, ((0, 0), (0, lacking)), mode="edge") if lacking else rows
    return np.asarray(filled, np.float64).reshape(-1, block)


def _levels(blocks: np.ndarray, most: int) -> _Levels:
    """Steps, at most `most`, that the elements of a block lie on best in proportion to their size, each as large as it can be."""
    finite = np.isfinite(blocks).all(1)
    blocks = np.where(finite[:, None], blocks, 0.0)
    low, largest = blocks.min(1), np.abs(blocks).max(1)
    span = blocks.max(1) - low
    step, stored, off = np.zeros(len(blocks)), np.zeros(blocks.shape), np.where(span <= EXACT * largest, 0.0, np.inf)
    for guessed in _guesses(most):
        left = np.flatnonzero(off > EXACT * largest)
        if not len(left):
            break
        places, own, first, error = _fitted(blocks[left], blocks[left].min(1), guessed(blocks[left], span[left]), most)
        better = error * np.where(np.isinf(off[left]), 1.0, step[left]) < off[left] * own
        done = left[better]
        step[done], stored[done], low[done], off[done] = own[better], places[better], first[better], error[better]
    near = np.where(step > 0, np.minimum(NEAR * largest, APART * step), np.inf)
    common = np.maximum(np.gcd.reduce(stored.astype(np.int64), axis=1), 1)
    return _Levels(low, step * common, stored / common[:, None], finite & (off <= near), near)


def _guesses(most: int) -> Iterator[Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """What the steps of blocks may be, by the blocks and the distances of their ends; inf where nothing can be."""
    if most < 1 << 7:
        yield from (lambda blocks, span, steps=steps: span / steps for steps in range(most, most // 2, -1))
        return
    yield from (lambda blocks, span, steps=steps: np.abs(blocks).max(1) / steps for steps in (most // 2, most // 2 + 1))
    yield lambda blocks, span: span / most
    yield from (lambda blocks, span, multiple=multiple: _apart(blocks, span / most) / multiple for multiple in range(1, MULTIPLES + 1))


def _apart(blocks: np.ndarray, least: np.ndarray) -> np.ndarray:
    """The least distance between two elements of a block that is about as large as `least`, or larger; inf where there is none."""
    distances = np.diff(np.sort(blocks, axis=1), axis=1)
    return np.asarray(np.where(distances > (1 - APART) * least[:, None], distances, np.inf).min(1))


def _fitted(blocks: np.ndarray, low: np.ndarray, step: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Places of the elements on a grid, its step and lowest level, and how far an element is from its level at most. Lowest and highest may
    have been rounded, so step and level are those of least squares, for places by the first guess and then by these."""
    for _ in range(2):
        places = np.clip(np.rint((blocks - low[:, None]) / step[:, None]), 0, most)
        centre = places.mean(1)
        away = places - centre[:, None]
        square = (away**2).sum(1)
        step = np.where(square > 0, (away * blocks).sum(1) / np.where(square > 0, square, 1.0), step)
        step = np.where(step > 0, step, np.inf)
        low = np.where(np.isinf(step), 0.0, blocks.mean(1) - np.where(np.isinf(step), 0.0, step) * centre)
    finite = np.isfinite(step)
    step = np.where(finite, step, 1.0)
    error = np.where(finite, np.abs(places * step[:, None] + low[:, None] - blocks).max(1), np.inf)
    return places, step, low, error


@dataclass(frozen=True, slots=True)
class _ThroughZero:
    """Of blocks, where 0 is one of their levels: element = scale · (stored + first)."""

    stored: np.ndarray
    first: np.ndarray
    scale: np.ndarray
    crosses: np.ndarray


def _through_zero(blocks: np.ndarray, levels: _Levels, most: int) -> _ThroughZero:
    """By least squares again. Steps may be halved, thirded, … where there are so few that 0 may lie between two levels that are used."""
    off = np.abs(levels.stored * levels.step[:, None] + levels.low[:, None] - blocks).max(1)
    allowed = np.minimum(TWICE * off + EXACT * np.abs(blocks).max(1), levels.near)
    found = _ThroughZero(levels.stored.copy(), np.zeros(len(blocks)), levels.step.copy(), np.zeros(len(blocks), bool))
    for finer in range(1, MOST_FINER + 1):
        left = np.flatnonzero(~found.crosses & (levels.step > 0) & (levels.stored.max(1) * finer <= most))
        if not len(left):
            break
        stored, first = levels.stored[left] * finer, np.rint(levels.low[left] * finer / levels.step[left])
        whole = stored + first[:, None]
        square = (whole**2).sum(1)
        scale = (whole * blocks[left]).sum(1) / np.where(square > 0, square, 1.0)
        fits = (square > 0) & (np.abs(whole * scale[:, None] - blocks[left]).max(1) <= allowed[left])
        done = left[fits]
        found.stored[done], found.first[done], found.scale[done], found.crosses[done] = stored[fits], first[fits], scale[fits], True
    return found


def _placed(blocks: np.ndarray, levels: _Levels, low: int, high: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Integers between low and high, the scale, zero point and offset of each block: element = scale · (stored - zero) + offset."""
    flat = levels.step == 0
    found = _through_zero(blocks, levels, high - low)
    shift = np.clip(found.first, low, high - found.stored.max(1))
    zero = shift - found.first
    whole = found.crosses & (zero >= low) & (zero <= high)
    near = np.clip(np.rint(levels.low / np.where(flat, 1.0, levels.step)), low, high - levels.stored.max(1))  # for small offsets
    stored = np.where(whole[:, None], found.stored + shift[:, None], levels.stored + near[:, None])
    anchor = low or (high + 1) // 2  # a power of two, by which a level is divided without rounding
    stored = np.where(flat[:, None], np.where(levels.low == 0, 0, anchor)[:, None], stored)
    scale = np.where(whole, found.scale, levels.step)
    return (
        stored.astype(np.uint8 if low == 0 else np.int8),
        np.where(flat, np.where(levels.low == 0, 1.0, levels.low / anchor), scale),
        np.where(whole & ~flat, zero, 0.0),
        np.where(whole | flat, 0.0, levels.low - near * levels.step),
    )
