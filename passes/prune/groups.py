"""What can be removed, layer by layer: sets of cells that the same weights make, and how large those weights are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from .cells import Cells
from .spread import Site, Spread


@dataclass(frozen=True, slots=True)
class Group:
    """Layers whose channels are removed together."""

    makers: tuple[Site, ...]
    roots: np.ndarray
    """Of the sets of cells that can be removed, in the order of the first layer's channels."""
    magnitude: np.ndarray
    """Of each set: the root of the sum of the squares of its weights, each tensor relative to its mean; or what `ranked` puts there."""
    channels: int
    """Of the first layer, those that stay in any case too."""
    width: int
    """How many of these are one set."""
    heads: bool
    """Whether sets are heads of an attention."""


def groups_of(spread: Spread) -> tuple[Group, ...]:
    """In the order of the model. Layers that share a set, as those before a residual Add do, are one group."""
    chains, members = Cells(), dict[int, np.ndarray]()
    nodes = chains.fresh(len(spread.makers))
    first: dict[int, int] = {}
    for k, site in enumerate(spread.makers):
        members[k] = _free(spread, site)
        for root in members[k].tolist():
            other = first.setdefault(root, k)
            chains.join(nodes[k : k + 1], nodes[other : other + 1])
    sizes = magnitudes(spread)
    found: dict[int, list[int]] = {}
    for k, chain in enumerate(chains.roots(nodes).tolist()):
        if len(members[k]):
            found.setdefault(chain, []).append(k)
    return tuple(_group(spread, ks, members, sizes) for ks in found.values())


def ranked(groups: Iterable[Group], remainders: np.ndarray) -> tuple[Group, ...]:
    """The groups with what is lost of their sums (by root) in place of magnitudes, where anything is known of it."""
    return tuple(replace(one, magnitude=np.sqrt(remainders[one.roots])) if remainders[one.roots].any() else one for one in groups)


def channels_in(spread: Spread, group: Group, roots: Iterable[int]) -> int:
    """How many channels of a group's first layer are in these sets."""
    return int(np.isin(spread.cells.roots(_cells(spread, group.makers[0])), list(roots)).sum())


def reason(spread: Spread, site: Site) -> str:
    """Why no channel of a layer can be removed; "" where some can."""
    cells = _cells(spread, site)
    return "" if spread.cells.free(cells).any() or not len(cells) else spread.cells.why(int(cells[0]))


def magnitudes(spread: Spread) -> np.ndarray:
    """By root: squares of weights of two axes or more, summed over all that would go."""
    found = np.zeros(spread.cells.count)
    for name, axis, roots in weight_axes(spread):
        value = np.asarray(spread.graph.value(name), np.float64)
        squares = np.square(np.moveaxis(value, axis, 0).reshape(len(roots), -1)).sum(1)
        mean = squares.mean()
        if mean > 0:
            np.add.at(found, roots, squares / mean)
    return found


def weight_axes(spread: Spread) -> Iterable[tuple[str, int, np.ndarray]]:
    """(constant, axis, root of each index) of weights that lose something when a set is removed."""
    for name in spread.graph.constants:
        axes = spread.axes.get(name)
        if axes is None or len(axes) < 2:
            continue
        for axis, cells in enumerate(axes):
            if cells is not None and len(cells) > 1 and spread.cells.free(cells).any():
                yield name, axis, spread.cells.roots(cells)


def _group(spread: Spread, ks: list[int], members: dict[int, np.ndarray], sizes: np.ndarray) -> Group:
    roots = np.array(list(dict.fromkeys(root for k in ks for root in members[k].tolist())))
    cells = spread.cells.roots(_cells(spread, spread.makers[ks[0]]))
    width = max(1, int((cells == members[ks[0]][0]).sum()))
    heads = bool(np.isin(roots, spread.cells.roots(np.array(spread.heads, np.int64))).any())
    return Group(tuple(spread.makers[k] for k in ks), roots, np.sqrt(sizes[roots]), len(cells), width, heads)


def _cells(spread: Spread, site: Site) -> np.ndarray:
    axes = spread.of(site.constant) or ()
    cells = axes[site.axis] if site.axis < len(axes) else None
    return np.array([], np.int64) if cells is None else cells


def _free(spread: Spread, site: Site) -> np.ndarray:
    cells = _cells(spread, site)
    roots = spread.cells.roots(cells[spread.cells.free(cells)])
    return np.array(list(dict.fromkeys(roots.tolist())), np.int64)
