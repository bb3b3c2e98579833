"""What memories besides a device's own are expected to save, before it is known which operators the device gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ...targets.cost import home_memory
from ...targets.traffic import has_choice
from ..graph.graph import Graph
from ..graph.node import Node
from ..solve.choose_residency import choose, step_seconds
from .candidates import NATIVE, Implementation
from .kernels import group_kernels, reader_in
from .memory_options import machine_of
from .memory_use import Seen, stretch_of
from .placed import DeviceAnswers, Part
from .residency import UNBOUNDED, Program


def expected_savings(asked: DeviceAnswers, units: Sequence[Sequence[int]]) -> tuple[tuple[float, ...], ...]:
    """Seconds that the other memories of each device save, per unit and device, were the device to run all that it can; below zero for a
    unit that pays for others' transfers."""
    devices = asked.target.devices
    columns = [_savings(asked, units, k) if has_choice(asked.target, d.name) else [0.0] * len(units) for k, d in enumerate(devices)]
    return tuple(zip(*columns, strict=True))


def _savings(asked: DeviceAnswers, units: Sequence[Sequence[int]], column: int) -> list[float]:
    target, device = asked.target, asked.target.devices[column]
    runs = [unit for unit in units if all(isinstance(asked.answers[k][column], Implementation) for k in unit)]
    nodes = [asked.nodes[k] for k in sorted(k for unit in runs for k in unit)]
    if not nodes:
        return [0.0] * len(units)
    part = Part(device.name, tuple(nodes), 0.0, (), _in_integers(asked, nodes, column))
    groups = _groups(asked, runs, column)
    program = Program(
        target,
        (stretch_of(asked.graph, target, part, groups, _borders(asked.graph, nodes), _seer(asked, column)),),
        (machine_of(target, device.name).home,),
        tuple(UNBOUNDED if m.name == home_memory(target, device.name).name else m.budget for m in target.memories),
    )
    chosen = choose(program.problem)
    at = {id(asked.nodes[k]): u for u, unit in enumerate(units) for k in unit}
    saved = [0.0] * len(units)
    if chosen is None:
        return saved
    first = (0,) * len(program.items)
    before, after = step_seconds(program.problem, first), step_seconds(program.problem, chosen.options)
    for group, gone in zip(groups, (b - a for b, a in zip(before, after, strict=True)), strict=True):
        saved[at[id(group[0])]] += gone
    for item, option in zip(program.items, chosen.options, strict=True):
        for transfer in item.ways[option].transfers:
            if transfer.when != "during":
                saved[at[id(groups[transfer.step][0])]] -= transfer.seconds
    return saved


def _groups(asked: DeviceAnswers, runs: Iterable[Sequence[int]], column: int) -> list[tuple[Node, ...]]:
    """The kernels of the units in topological order of their first nodes; what is to be rewritten is a kernel of its own."""
    device = asked.target.devices[column]
    found: list[tuple[Node, ...]] = []
    for unit in runs:
        native = [asked.nodes[k] for k in unit if _chosen(asked, k, column).rule == NATIVE]
        found += group_kernels(native, device.kernels, reader_in(asked.graph))
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
