"""What is computed from constants alone, by operators that only store them otherwise: DequantizeLinear of a weight, its Transpose.

A device that takes such operators together with their reader still has the constant in hand: its compiler computes them once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from .links import Links
from .node import Node
from .tensors import Tensors

CARRIES = frozenset({"DequantizeLinear", "Cast", "Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten"})
"""Operators that store their first operand in another form."""
LONGEST = 8
"""Operators between a constant and its reader; more are no weight as an exporter writes it."""


def cone(tensor: str, producer: Callable[[str], Node | None], constant: Callable[[str], bool], uses: Callable[[str], int]) -> list[Node]:
    """The operators that make the tensor of constants, from it backwards: each has one reader. Empty where it is made in another way."""
    found: list[Node] = []
    while len(found) < LONGEST:
        node = producer(tensor)
        if node is None or node.kind not in CARRIES or uses(tensor) != 1 or not all(constant(name) for name in node.inputs[1:] if name):
            return []
        found.append(node)
        tensor = node.inputs[0]
        if constant(tensor):
            return found
    return []


def carried(links: Links, tensors: Tensors, results: Collection[str]) -> Callable[[str], bool]:
    """Whether a tensor is made of constants and read once. `results` are read from outside, too."""
    return lambda tensor: bool(
        cone(tensor, links.producer, tensors.constants.__contains__, lambda name: links.count(name) + (name in results))
    )


def computed_once(nodes: Sequence[Node], constant: Callable[[str], bool], kept: Collection[str]) -> frozenset[str]:
    """What nodes (in topological order) write that runtimes compute once, when they load the model: from constants alone, by any operator
    but those of `kept`, which runtimes do not fold."""
    found: set[str] = set()
    for node in nodes:
        reads = node.reads
        if reads and node.kind not in kept and all(name in found or constant(name) for name in reads):
            found.update(node.writes)
    return frozenset(found)
