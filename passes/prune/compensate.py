"""Those that stay stand in for those that go: a channel x_g is written as sum_k a_gk x_k + b_g of the channels k that are kept, by least
squares over what the model computes on samples, and that is put into the weights of whoever sums over them:

    sum_g w_g x_g + sum_k w_k x_k  ~  sum_k (w_k + sum_g a_gk w_g) x_k + sum_g b_g w_g

This is the reconstruction of He, Zhang, Sun, "Channel Pruning for Accelerating Very Deep Neural Networks" (ICCV 2017), per channel instead
of per patch, in closed form. Without a bias to put b into, the channels are taken as they are, not about their means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from .spread import Site, Spread

RIDGE, UNCERTAIN = 1e-2, 0.1
"""What is added to the diagonal, relative to it: always, and for each channel by positions."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Of a tensor, over all positions of samples: how many, sums of channels, sums of products of channels."""

    number: int
    first: np.ndarray
    second: np.ndarray


def summed_tensor(graph: Graph, site: Site) -> tuple[str, int] | None:
    """What a site sums over, and along which axis of it; None where operators share the weights, or groups see some channels only."""
    node = graph.producer(site.node)
    if node is None or len(graph.users(site.constant)) != 1 or node.inputs.count(site.constant) != 1:
        return None
    place = node.inputs.index(site.constant)
    name = node.inputs[1 - place] if place < 2 else ""
    rank = len(graph.tensor(name).shape or ())
    axis = _axis(graph, node, place, rank)
    shape = graph.tensor(name).shape
    if shape is None or axis is None or shape[axis] != (graph.tensor(site.constant).shape or ())[site.axis]:
        return None
    return name, axis


def compensate(graph: Graph, spread: Spread, gone: np.ndarray, moments: Mapping[str, Moments]) -> None:
    """In place, before the channels are removed. moments: by the tensor that is summed over; where there are none, weights stay."""
    for site in spread.sums:
        summed = summed_tensor(graph, site)
        found = None if summed is None else moments.get(summed[0])
        axes = spread.axes[site.constant]
        cells = None if axes is None else axes[site.axis]
        if found is None or cells is None:
            continue
        lost = np.isin(spread.cells.roots(cells), gone)
        if lost.any() and not lost.all():
            _put(graph, site, found, lost)


def remainders(graph: Graph, spread: Spread, moments: Mapping[str, Moments]) -> np.ndarray:
    """By root, what sums lose without a set once all others stand in for it, relative to what they are: w_c² / (C⁻¹)_cc of a channel c, C
    being the covariance (Hassibi, Stork: Second order derivatives for network pruning: Optimal Brain Surgeon, NIPS 1992)."""
    found = np.zeros(spread.cells.count)
    for site in spread.sums:
        summed, axes = summed_tensor(graph, site), spread.axes[site.constant]
        own = None if summed is None else moments.get(summed[0])
        cells = None if axes is None else axes[site.axis]
        if own is None or cells is None:
            continue
        _, about, rows, _ = _stated(graph, site, own)
        squares = np.square(rows.reshape(len(rows), -1)).sum(1)
        whole = float(squares @ np.diag(about))
        if whole > 0:
            lost = squares / np.maximum(np.diag(np.linalg.inv(_ridged(about, own.number))), 1e-300)
            np.add.at(found, spread.cells.roots(cells), np.maximum(lost, 0.0) / whole)
    return found


def _ridged(about: np.ndarray, number: int) -> np.ndarray:
    """The covariance with a diagonal as much larger as it is uncertain: over few positions, channels seem to depend on each other."""
    own = np.diag(about)
    return about + np.diag((RIDGE + UNCERTAIN * len(about) / number) * own + 1e-9 * own.mean() + 1e-30)


def _stated(graph: Graph, site: Site, moments: Moments) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, np.ndarray] | None]:
    """The mean that a bias can take up, the covariance about it, the weights by channel, and the bias."""
    node, weights = graph.producer(site.node), graph.value(site.constant)
    assert node is not None and weights is not None
    bias = _bias(graph, node)
    mean = moments.first / moments.number if bias is not None else np.zeros_like(moments.first)
    about = moments.second / moments.number - np.outer(mean, mean)
    return mean, about, np.moveaxis(np.array(weights, np.float64), site.axis, 0), bias


def _put(graph: Graph, site: Site, moments: Moments, lost: np.ndarray) -> None:
    mean, about, rows, bias = _stated(graph, site, moments)
    factors = np.linalg.solve(_ridged(about[np.ix_(~lost, ~lost)], moments.number), about[np.ix_(~lost, lost)]).T
    gone = rows[lost]
    rows[~lost] += np.tensordot(factors, gone, ((0,), (0,)))
    _give(graph, site.constant, np.moveaxis(rows, 0, site.axis))
    if bias is not None:
        name, value = bias
        over = gone.reshape(len(gone), gone.shape[1], -1).sum(2)
        _give(graph, name, value + ((mean[lost] - factors @ mean[~lost]) @ over).reshape(value.shape))


def _bias(graph: Graph, node: Node) -> tuple[str, np.ndarray] | None:
    """Of a Conv or a plain Gemm, its own and one number for each channel."""
    if len(node.inputs) < 3 or not node.inputs[2] or len(graph.users(node.inputs[2])) != 1 or node.operator not in ("Conv", "Gemm"):
        return None
    if node.operator == "Gemm" and (graph.attribute(node, "alpha"), graph.attribute(node, "beta")) != (1.0, 1.0):
        return None
    value, outputs = graph.value(node.inputs[2]), graph.tensor(node.outputs[0]).shape
    return (node.inputs[2], value) if value is not None and outputs is not None and value.size == outputs[1] else None


def _axis(graph: Graph, node: Node, place: int, rank: int) -> int | None:
    if node.operator in ("Conv", "ConvTranspose"):
        return 1
    if node.operator == "Gemm":
        return 0 if graph.attribute(node, "transA") else 1
    return (rank - 1 if place == 1 else rank - 2) if rank >= 2 else None


def _give(graph: Graph, name: str, value: np.ndarray) -> None:
    """In the dtype that the constant has."""
    known = graph.value(name)
    assert known is not None
    dtype = known.dtype
    graph.tensors.forget_constant(name)
    graph.tensors.add_constant(name, np.ascontiguousarray(value, dtype))
