"""A right model: where it lies, how it is compiled, and inputs as its users give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Feeds = Callable[[np.random.Generator], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that slips are made in."""

    name: str
    path: Path
    feeds: Feeds
    """One set of inputs."""
    shapes: Mapping[str, int | tuple[int, ...]] = field(default_factory=dict)
    """What `compile` is given."""

    def fresh(self, number: int) -> list[dict[str, Any]]:
        """Sets of inputs that no verification makes: it draws from other generators and other seeds."""
        return [self.feeds(np.random.default_rng([20270131, k])) for k in range(number)]


def image(rng: np.random.Generator, shape: tuple[int, ...], top: float = 1.0) -> Any:
    """Coarse blobs and noise, 0 to `top`, as photographs are."""
    height, width = shape[-2:]
    coarse = rng.random((*shape[:-2], -(-height // 8), -(-width // 8)))
    blobs = np.repeat(np.repeat(coarse, 8, -2), 8, -1)[..., :height, :width]
    return (np.clip(0.85 * blobs + 0.15 * rng.random(shape), 0, 1) * top).astype(np.float32)


def tokens(rng: np.random.Generator, shape: tuple[int, ...], vocabulary: int) -> Any:
    """Frequent tokens are small numbers; the first and the last one of a table mark begin and end."""
    found = np.minimum((vocabulary * rng.random(shape) ** 2).astype(np.int64), vocabulary - 1)
    found[..., 0], found[..., -1] = 0, vocabulary - 1
    return found


def padded(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.int64) -> Any:
    """A mask with a tail of zeros, whose length differs from set to set."""
    mask = np.ones(shape, dtype)
    mask[..., shape[-1] - int(rng.integers(0, max(shape[-1] // 2, 1))) :] = 0
    return mask


def normal(rng: np.random.Generator, *shape: int) -> Any:
    return rng.standard_normal(shape).astype(np.float32)
