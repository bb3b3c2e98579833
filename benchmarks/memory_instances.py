"""Instances for memory_plans.py: read from a file, cut from a rectangle, or made like a training graph."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Buffer:
    name: str
    bytes: int
    lifetime: tuple[int, int]
    align: int = 1
    offset: int = 0


SHAPES = {
    "even": (1024, 1024, 0.5, (2, 2)),
    "long": (4096, 512, 0.5, (2, 2)),
    "tall": (256, 2048, 0.5, (2, 2)),
    "skewed": (1024, 1024, 0.5, (1, 1)),
    "slabs": (2048, 1024, 0.65, (1.5, 3)),
}
"""By name: steps and rows of the rectangle, the share of cuts in time, and the beta distribution of where a cut falls."""
ROW = 1024
"""Bytes."""


def read(path: Path) -> list[Buffer]:
    """A file in minimalloc's format: `id,lower,upper,size`, live on [lower, upper)."""
    with path.open(newline="") as lines:
        return [Buffer(row["id"], int(row["size"]), (int(row["lower"]), int(row["upper"]) - 1)) for row in csv.DictReader(lines)]


def guillotine(shape: str, count: int, seed: int) -> list[Buffer]:
    """A rectangle of time and bytes cut `count` - 1 times, larger pieces rather than smaller ones: a plan without a free byte exists."""
    dice = random.Random(f"{shape} {count} {seed}")
    steps, rows, in_time, where = SHAPES[shape]
    pieces = [(0, steps, 0, rows)]
    while len(pieces) < count:
        k = dice.choices(range(len(pieces)), [(b - a) * (d - c) for a, b, c, d in pieces])[0]
        a, b, c, d = pieces[k]
        extent = b - a if (across := dice.random() < in_time) else d - c
        if extent < 2:
            continue
        cut = min(max(round(extent * dice.betavariate(*where)), 1), extent - 1)
        pieces[k : k + 1] = [(a, a + cut, c, d), (a + cut, b, c, d)] if across else [(a, b, c, c + cut), (a, b, c + cut, d)]
    dice.shuffle(pieces)
    return [Buffer(f"b{i}", (d - c) * ROW, (a, b - 1)) for i, (a, b, c, d) in enumerate(pieces)]


def training_graph(seed: int, layers: int = 32, hidden: int = 2560, tokens: int = 1024, heads: int = 32, batches: int = 9) -> list[Buffer]:
    """The buffers of one training step of a transformer with 2.6 billion parameters, fp16: per micro-batch every layer forward, which keeps
    what its gradients need, then backward; the sums of gradients live on to the optimizer."""
    dice = random.Random(seed)
    wide, scores, mean = tokens * hidden * 2, heads * tokens * tokens * 2, tokens * 4
    step = 0
    made: list[tuple[int, int, int]] = []
    last = 2 * batches * layers * 40
    for batch in range(batches):
        kept: list[list[tuple[int, int]]] = []
        for _ in range(layers):
            kept.append([(step + at, size) for at, size in _kept(dice, wide, scores, mean)])
            made += ((size, step + at, step + at + stay) for at, size, stay in _passing(dice, wide, scores, mean))
            step += 40
        for layer in reversed(range(layers)):
            made += ((size, born, step + 39 - (born - kept[layer][0][0]) * 38 // 40) for born, size in kept[layer])
            made += ((size, step + at, step + at + stay) for at, size, stay in _passing(dice, wide, scores, mean))
            made += ((size, step + at, step + at + stay) for at, size, stay in _passing(dice, wide, scores, mean))
            if not batch:
                made += ((size * hidden * hidden * 2, step + 10 + 5 * k, last) for k, size in enumerate((3, 1, 4, 4)))
            step += 40
    return [Buffer(f"b{i}", -(-size // 512) * 512, (first, min(end, last)), 512) for i, (size, first, end) in enumerate(made)]


def _kept(dice: random.Random, wide: int, scores: int, mean: int) -> Iterator[tuple[int, int]]:
    """(step within the layer, bytes) of what a layer keeps for its gradients."""
    sizes = (wide, mean, mean, wide, wide, wide, scores, scores // 2, wide, wide, mean, mean, wide, 4 * wide, 4 * wide, wide // 2)
    for k, size in enumerate(sizes):
        yield min(2 * k + dice.randrange(3), 39), size


def _passing(dice: random.Random, wide: int, scores: int, mean: int) -> Iterator[tuple[int, int, int]]:
    """(step within the layer, bytes, steps it stays) of what is not kept; most of it dies within the layer."""
    for k in range(16):
        size = dice.choice((wide, wide, 3 * wide, 4 * wide, scores, mean, mean, wide // 2, dice.randrange(512, 65536), 512))
        stay = dice.choice((1, 1, 1, 2, 2, 3, 5, 8)) if dice.random() < 0.98 else round(dice.lognormvariate(5, 1))
        yield 2 * k + dice.randrange(3), size, stay
