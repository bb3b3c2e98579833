"""Sums, and sums of products, of the channels that a model's weights sum over, on calibration samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...passes.graph.graph import Graph
from ...passes.prune.compensate import Moments, summed_tensor
from ...passes.prune.spread import Site, Spread
from ..activity import doing
from ..precision.ranges import values_of

MOST_CHANNELS = 4096
"""Of more, products are not taken (134 MB): their readers' weights stay as they are."""


def moments_of(graph: Graph, spread: Spread, samples: Iterable[Mapping[str, Any]]) -> dict[str, Moments]:
    """By tensor. Raises ModelError where the model does not run."""
    summed = (summed_tensor(graph, site) for site in spread.sums if _is_free(spread, site))
    axes = dict(one for one in summed if one is not None)
    wanted = [name for name, axis in axes.items() if 1 < ((graph.tensor(name).shape or ())[axis] or 0) <= MOST_CHANNELS]
    kept, found = tuple(samples), dict[str, Moments]()
    with doing("measuring how channels depend on each other"):
        for _, arrays in values_of(graph, wanted, lambda: iter(kept)):
            for name, array in arrays.items():
                found[name] = _added(found.get(name), np.moveaxis(array, axes[name], -1))
    return {name: one for name, one in found.items() if np.isfinite(one.second).all()}


def _is_free(spread: Spread, site: Site) -> bool:
    axes = spread.axes[site.constant]
    cells = None if axes is None else axes[site.axis]
    return cells is not None and bool(spread.cells.free(cells).any())


def _added(before: Moments | None, array: np.ndarray) -> Moments:
    rows = array.reshape(-1, array.shape[-1]).astype(np.float64)
    number, first, second = len(rows), rows.sum(0), rows.T @ rows
    if before is None:
        return Moments(number, first, second)
    return Moments(before.number + number, before.first + first, before.second + second)
