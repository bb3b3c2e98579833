"""What a run of operators on one device does with memory: which tensors its kernels read and write, how much of them, and when.

Tensors that are the same bytes (a Reshape's input and output, what QuantizeLinear reads and writes on a device of integers) are one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ....targets.cost import FREE
from ....targets.model import Target
from ....targets.operator_view import OperatorView
from ....targets.work.traffic import arithmetic_seconds, kernel_traffic
from ...graph.graph import Graph
from ...graph.node import Node
from ..placed import Part
from ..quantised import OUT, QuantisedUnit, quantised_units, view_of
from .working_set import held_otherwise

VIEWS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
"""Operators whose result is their first operand's bytes."""


@dataclass(frozen=True, slots=True)
class Access:
    step: int
    bytes: float
    """That the kernel moves of it, in the dtype it computes in."""
    writes: bool


@dataclass(frozen=True, slots=True)
class Use:
    """A tensor of a run of operators, and what they do with it, in order."""

    tensor: str
    bytes: int
    """As it is stored; 0 for what is never in memory as a whole."""
    const: bool
    given: bool
    """Whether it comes from outside; it then lies in the device's own memory when the run begins."""
    wanted: bool
    """Whether it is read outside, from the device's own memory, once the run is over."""
    accesses: tuple[Access, ...]
    same: tuple[str, ...] = ()
    """Further tensors that are the same bytes."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Kernels that one device runs one after the other."""

    device: str
    floors: tuple[float, ...]
    """Per kernel, the seconds of its arithmetic; of all of it where the kernel's traffic is not known."""
    moves: tuple[bool, ...]
    """Per kernel, whether it runs at all: what is only another view of its input does not."""
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """An operator as its device computes it."""

    view: OperatorView | None
    """None where only its time is known: it is yet to be rewritten."""
    dtype: str
    seconds: float = 0.0
    """Of one without a view."""


def stretch_of(
    graph: Graph,
    target: Target,
    part: Part,
    groups: Sequence[Sequence[Node]],
    borders: tuple[Iterable[str], Iterable[str]],
    see: Callable[[Node], Seen],
) -> Stretch:
    """The kernels `groups` of a part, in order. `borders`: tensors that come from outside, and those that are read there."""
    nodes, device = part.nodes, target.device(part.device)
    given, wanted = set(borders[0]), set(borders[1])
    integers = [unit for unit in quantised_units(graph, nodes) if unit.whole and unit.members[-1].writes[0] in part.in_integers]
    found = _Uses(graph, _roots(nodes, integers))
    seen_as = {id(n): view_of(graph, n, unit) for unit in integers for n in unit.members[:-1] if n.kind != OUT}
    free = {id(node) for unit in integers for node in unit.members if id(node) not in seen_as}
    floors, moves = [], []
    for k, group in enumerate(groups):
        working = [node for node in group if id(node) not in free and (node.kind not in FREE or node.domain)]
        sights = [see(node) for node in working]
        views = [seen_as.get(id(node)) or sight.view for node, sight in zip(working, sights, strict=True)]
        moves.append(bool(working))
        known = [view for view in views if view is not None]
        if len(known) == len(views):
            dtype = sights[0].dtype if sights else ""
            traffic = kernel_traffic(known, dtype)
            floors.append(arithmetic_seconds(device, known, dtype) if known else 0.0)
            found.add(k, traffic.reads, traffic.writes)
        else:
            floors.append(sum(sight.seconds for sight in sights))
        found.touch(k, working)
    held = held_otherwise(graph, part, nodes, given | wanted, device)
    return Stretch(part.device, tuple(floors), tuple(moves), tuple(found.finish(held.sizes, given, wanted)))


def _roots(nodes: Sequence[Node], integers: Sequence[QuantisedUnit]) -> dict[str, str]:
    """The tensor whose bytes another one is, followed to the first."""
    root: dict[str, str] = {}

    def first(name: str) -> str:
        while name in root:
            name = root[name]
        return name

    same = [(node.writes[0], node.inputs[0]) for unit in integers for node in unit.members if node.kind == OUT or node is unit.members[-1]]
    same += [(node.writes[0], node.inputs[0]) for node in nodes if node.kind in VIEWS and not node.domain and node.writes]
    for name, source in same:
        if first(name) != first(source):
            root[first(name)] = first(source)
    return {name: first(name) for name in root}


@dataclass
class _Uses:
    graph: Graph
    roots: Mapping[str, str]
    accesses: dict[str, list[Access]] = field(default_factory=dict)

    def add(self, step: int, reads: Mapping[str, float], writes: Mapping[str, float]) -> None:
        for moved, is_write in ((reads, False), (writes, True)):
            for name, size in moved.items():
                self.accesses.setdefault(self.roots.get(name, name), []).append(Access(step, size, is_write))

    def touch(self, step: int, nodes: Sequence[Node]) -> None:
        """What the nodes read and write beside what was added: of bodies, of operators without a view, inside a kernel."""
        written = {name for node in nodes for name in node.writes}
        inner = {name for node in nodes for name in node.reads if name in written and self.graph.uses(name) == 1}
        for node in nodes:
            for name, is_write in [*((n, False) for n in node.reads), *((n, True) for n in node.writes)]:
                root = self.roots.get(name, name)
                known = self.accesses.setdefault(root, [])
                if name not in inner and not any(access.step == step for access in known):
                    known.append(Access(step, 0.0, is_write))

    def finish(self, sizes: Mapping[str, int], given: set[str], wanted: set[str]) -> Iterable[Use]:
        members: dict[str, list[str]] = {}
        for name, root in self.roots.items():
            members.setdefault(root, []).append(name)
        for root, accesses in self.accesses.items():
            names = [root, *members.get(root, ())]
            const = self.graph.tensor(root).const
            stored = max((sizes.get(name, self.graph.tensor(name).bytes or 0) for name in names if not const or name == root), default=0)
            if accesses:
                yield Use(root, stored, const, bool(given & set(names)), bool(wanted & set(names)), _in_order(accesses), tuple(names[1:]))


def _in_order(accesses: Sequence[Access]) -> tuple[Access, ...]:
    """One access a step and direction."""
    moved: dict[tuple[int, bool], float] = {}
    for access in accesses:
        key = (access.step, not access.writes)
        moved[key] = moved.get(key, 0.0) + access.bytes
    return tuple(Access(step, size, not reads) for (step, reads), size in sorted(moved.items()))
