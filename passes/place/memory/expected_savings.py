"""What memories besides a device's own save, before segments are cut: as an expectation per operator, and of a whole placement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ....targets.cost import home_memory
from ....targets.model import Target
from ....targets.work.traffic import has_choice
from ...graph.graph import Graph
from ...graph.node import Node
from ...solve.memory.choose_residency import choose, seconds, step_seconds
from ..candidates import NATIVE, Implementation
from ..kernels import group_kernels, reader_in
from ..placed import DeviceAnswers, Part, Placement
from .memory_options import machine_of
from .memory_use import Seen, Stretch, stretch_of
from .residency import UNBOUNDED, Program

COMPARING = 0.4
"""Of the solver's time, to hold placements against each other."""


def expected_savings(asked: DeviceAnswers, units: Sequence[Sequence[int]], share: float = 1.0) -> tuple[tuple[float, ...], ...]:
    """Seconds that the other memories of each device save, per unit and device, were the device to run all that it can; below zero for a
    unit that pays for others' transfers. `share`: of their bytes that may be used; () where no device has a choice."""
    devices = asked.target.devices
    if not any(has_choice(asked.target, device.name) for device in devices):
        return ()
    columns = [_savings(asked, units, k, share) for k in range(len(devices))]
    return tuple(zip(*columns, strict=True))


def seconds_in_memories(placement: Placement) -> float:
    """Time of a placement with the tensors of its segments in all memories."""
    question, price = placement.question, placement.solution.price
    pieces = [piece for piece in price.pieces if has_choice(question.target, question.problem.devices[piece.device])]
    runs = [_run(question, [question.units[u] for u in piece.units], piece.device) for piece in pieces]
    if not runs:
        return price.total
    program = Program(
        question.target,
        tuple(stretch for stretch, _ in runs),
        tuple(machine_of(question.target, stretch.device).home for stretch, _ in runs),
        _rooms(question.target, [stretch.device for stretch, _ in runs], 1.0),
    )
    chosen = choose(program.problem, COMPARING)
    gone = 0.0 if chosen is None else seconds(program.problem, program.first) - seconds(program.problem, chosen.options)
    return price.total + sum(question.saved_by(piece.units, piece.device) for piece in pieces) - gone


def _savings(asked: DeviceAnswers, units: Sequence[Sequence[int]], column: int, share: float) -> list[float]:
    """Per unit, of one device."""
    target, device, saved = asked.target, asked.target.devices[column], [0.0] * len(units)
    runs = [unit for unit in units if all(isinstance(asked.answers[k][column], Implementation) for k in unit)]
    if not share or not runs or not has_choice(target, device.name):
        return saved
    stretch, groups = _run(asked, runs, column)
    home = machine_of(target, device.name).home
    program = Program(target, (stretch,), (home,), _rooms(target, [device.name], share))
    chosen = choose(program.problem, effort=0)
    if chosen is None:
        return saved
    at = {id(asked.nodes[k]): u for u, unit in enumerate(units) for k in unit}
    before, after = step_seconds(program.problem, program.first), step_seconds(program.problem, chosen.options)
    for group, gone in zip(groups, (b - a for b, a in zip(before, after, strict=True)), strict=True):
        saved[at[id(group[0])]] += gone
    for item, option in zip(program.items, chosen.options, strict=True):
        for transfer in item.ways[option].transfers:
            if transfer.when != "during":
                saved[at[id(groups[transfer.step][0])]] -= transfer.seconds
    return saved


def _rooms(target: Target, devices: Sequence[str], share: float) -> tuple[int, ...]:
    """Bytes per memory that may be used; what the devices have by default is for the limits to check."""
    homes = {home_memory(target, device).name for device in devices}
    return tuple(UNBOUNDED if memory.name in homes else int(memory.budget * share) for memory in target.memories)


def _run(asked: DeviceAnswers, units: Sequence[Sequence[int]], column: int) -> tuple[Stretch, list[tuple[Node, ...]]]:
    """What a device does with memory when it runs these units, and its kernels."""
    nodes = [asked.nodes[k] for k in sorted(k for unit in units for k in unit)]
    part = Part(asked.target.devices[column].name, tuple(nodes), 0.0, (), _in_integers(asked, nodes, column))
    groups = _groups(asked, units, column)
    return stretch_of(asked.graph, asked.target, part, groups, _borders(asked.graph, nodes), _seer(asked, column)), groups


def _groups(asked: DeviceAnswers, runs: Iterable[Sequence[int]], column: int) -> list[tuple[Node, ...]]:
    """The kernels of the units in topological order of their first nodes; what is to be rewritten is a kernel of its own."""
    device = asked.target.devices[column]
    found: list[tuple[Node, ...]] = []
    for unit in runs:
        native = [asked.nodes[k] for k in unit if _chosen(asked, k, column).rule == NATIVE]
        found += group_kernels(native, device.kernels, reader_in(asked.graph, device))
        found += [(asked.nodes[k],) for k in unit if _chosen(asked, k, column).rule != NATIVE]
    return sorted(found, key=lambda group: asked.number[id(group[0])])


def _chosen(asked: DeviceAnswers, node: int, column: int) -> Implementation:
    answer = asked.answers[node][column]
    assert isinstance(answer, Implementation)
    return answer


def _in_integers(asked: DeviceAnswers, nodes: Sequence[Node], column: int) -> frozenset[str]:
    """What the QuantizeLinear at the end of units writes that the device computes in integers: it has no kernel of its own."""
    ends = [node for node in nodes if node.kind == "QuantizeLinear"]
    return frozenset(node.writes[0] for node in ends if not _chosen(asked, asked.number[id(node)], column).launches)


def _seer(asked: DeviceAnswers, column: int) -> Callable[[Node], Seen]:
    def see(node: Node) -> Seen:
        answer = _chosen(asked, asked.number[id(node)], column)
        return Seen((answer.view or asked.graph.view(node)) if answer.rule == NATIVE else None, answer.compute_dtype, answer.seconds)

    return see


def _borders(graph: Graph, nodes: Sequence[Node]) -> tuple[Iterable[str], Iterable[str]]:
    """What the nodes read from outside, and what of theirs is read there."""
    inside = {id(node) for node in nodes}
    written: Mapping[str, None] = dict.fromkeys(name for node in nodes for name in node.writes)
    given = [name for node in nodes for name in node.reads if name not in written and not graph.tensor(name).const]
    results = set(graph.outputs)
    return given, [name for name in written if name in results or any(id(user) not in inside for user in graph.users(name))]
