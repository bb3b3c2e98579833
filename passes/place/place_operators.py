"""Decide which device runs which operator, and how: candidates, then one exact problem, then its solution.

The problem's times are those of `targets/cost.py`: roofline per kernel, `launch` per kernel, `dispatch` per segment, links per
tensor. Greedy in topological order (what partitioners usually do) is kept as the baseline and as a start for the solver.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import pairwise

from ...targets.model import Target
from ...targets.operator_view import TensorView
from ...targets.route import route
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.rewrite import Rewrite
from ..solve.coarsen import coarsen
from ..solve.problem import Net, Problem, Unit
from .candidates import Candidates, Implementation
from .constant_cones import agree_on_constants, constant_tensors, constant_ties
from .kernels import group_kernels, reader_in
from .limit_terms import bounds, draws_too_much, rooms, segment_limits
from .memory.expected_savings import expected_savings
from .memory.live_bytes import live_bytes
from .placed import DeviceAnswers, Question
from .quantised import agree, ties
from .unit_time import unit_time

RouteTimes = Callable[[TensorView], tuple[tuple[float | None, ...], ...]]
"""Seconds of a tensor from each device (row) to each (column); None where no links carry it."""


def ask(graph: Graph, target: Target, rewrites: Sequence[Rewrite], families: Mapping[str, Sequence[Rewrite]]) -> DeviceAnswers:
    """What every device says about every operator; rules as `Candidates` takes them."""
    candidates, nodes = Candidates(graph, target, rewrites, families), tuple(graph.nodes)
    answers = tuple(tuple(candidates.ask(node, device) for device in target.devices) for node in nodes)
    agreed = agree(graph, target, candidates, nodes, answers)
    return DeviceAnswers(graph, target, nodes, agree_on_constants(graph, nodes, agreed))


def state(asked: DeviceAnswers, share: float = 1.0) -> Question:
    """The placement problem of these answers. Every operator must have a device that runs it. `share`: of the memories besides the
    devices' own, what the problem may count on."""
    units = gather(asked, device_sets(asked))
    saved = expected_savings(asked, units, share)
    problem, compiled = build_problem(asked, units, saved), asked.compiled
    return Question(asked.graph, asked.target, asked.nodes, asked.answers, units, problem, saved, share, compiled=compiled)


def device_sets(asked: DeviceAnswers) -> list[tuple[bool, ...]]:
    """Per operator, which devices run it."""
    return [tuple(isinstance(answer, Implementation) for answer in row) for row in asked.answers]


def gather(asked: DeviceAnswers, minds: Sequence[Hashable]) -> tuple[tuple[int, ...], ...]:
    """Units of operators (numbers) that are placed together; whatever `minds` says of each is the same inside a unit."""
    return tuple(tuple(unit) for unit in coarsen(len(asked.nodes), _edges(asked), minds, tied(asked)))


def build_problem(asked: DeviceAnswers, units: Sequence[Sequence[int]], saved: Sequence[Sequence[float]]) -> Problem:
    """The numbers of the placement problem: seconds per unit and device, bytes, limits. `saved`: by other memories (`residency.py`)."""
    target, nodes = asked.target, asked.nodes
    names = tuple(device.name for device in target.devices)
    nets, too_hungry = _nets(asked, units), draws_too_much(target)
    live = live_bytes(asked.graph, nodes, units, nets, set(constant_tensors(asked.graph, nodes)))
    made = []
    less = saved or [(0.0,) * len(names)] * len(units)
    for unit, size, at_once, gone in zip(units, _weights(asked.graph, nodes, units), live, less, strict=True):
        times = tuple(seconds_of(asked, unit, d, gone[d]) for d in range(len(names)))
        kept = tuple(None if name in too_hungry else seconds for name, seconds in zip(names, times, strict=True))
        label = f"{nodes[unit[0]].name or nodes[unit[0]].kind}"
        made.append(Unit(label, kept if any(s is not None for s in kept) else times, size, at_once.touched, at_once.passing))
    per_device, in_all = segment_limits(target)
    return Problem(
        devices=names,
        host=names.index(target.host.name),
        dispatch=tuple(device.segment_dispatch for device in target.devices),
        units=tuple(made),
        nets=nets,
        rooms=rooms(target),
        most_pieces=per_device,
        most_in_all=in_all,
        bounds=bounds(target),
    )


def seconds_of(asked: DeviceAnswers, unit: Sequence[int], column: int, saved: float) -> float | None:
    """Time of a unit on one device, less what its other memories save; None where the device refuses a member."""
    found = unit_time(asked, unit, column)
    return None if found is None else max(0.0, found.seconds - saved)


def _edges(asked: DeviceAnswers) -> list[tuple[int, int]]:
    found: dict[tuple[int, int], None] = {}
    for k, node in enumerate(asked.nodes):
        for name in node.reads:
            producer = asked.graph.producer(name)
            if producer is not None:
                found[asked.number[id(producer)], k] = None
    return list(found)


def tied(asked: DeviceAnswers) -> list[tuple[int, int]]:
    """Edges inside quantised units and kernel chains of any device, and from what is constant to its reader."""
    pairs = dict.fromkeys([*ties(asked.graph, asked.nodes), *constant_ties(asked.graph, asked.nodes)])
    for device in asked.target.devices:
        for group in group_kernels(asked.nodes, device.kernels, reader_in(asked.graph, device)):
            for a, b in pairwise(group):
                pairs[asked.number[id(a)], asked.number[id(b)]] = None
    return list(pairs)


def _weights(graph: Graph, nodes: Sequence[Node], units: Sequence[Sequence[int]]) -> list[int]:
    """Bytes of constants per unit, as they are stored; one that several units read counts for the first: it is stored once."""
    seen: set[str] = set()
    sizes = []
    for unit in units:
        names = {name for k in unit for name in nodes[k].reads if graph.tensor(name).const} - seen
        seen |= names
        sizes.append(sum(graph.tensor(name).bytes or 0 for name in names) + sum(nodes[k].body_bytes for k in unit))
    return sizes


def _nets(asked: DeviceAnswers, units: Sequence[Sequence[int]]) -> tuple[Net, ...]:
    graph, number = asked.graph, asked.number
    of = {k: u for u, members in enumerate(units) for k in members}
    times = route_times(asked.target)
    constant, devices = constant_tensors(graph, asked.nodes), range(len(asked.target.devices))
    staying = tuple(tuple(0.0 if a == b else None for b in devices) for a in devices)
    nets = []
    outputs = set(graph.outputs)
    for name in (*graph.inputs, *(name for node in asked.nodes for name in node.writes)):
        producer = graph.producer(name)
        source = -1 if producer is None else of[number[id(producer)]]
        consumers = sorted({of[number[id(user)]] for user in graph.users(name)} - {source})
        to_host = name in outputs and source >= 0
        if consumers or to_host:
            crossing = staying if name in constant else times(graph.tensor(name))
            nets.append(Net(name, source, tuple(consumers), to_host, crossing))
    return tuple(nets)


def route_times(target: Target) -> RouteTimes:
    """Seconds that a tensor takes between any two devices of the target, None where no links carry it."""
    names = [device.name for device in target.devices]
    known: dict[tuple[object, ...], tuple[tuple[float | None, ...], ...]] = {}

    def times(tensor: TensorView) -> tuple[tuple[float | None, ...], ...]:
        key = (tensor.dtype, tensor.shape)
        if key not in known:
            known[key] = tuple(tuple(_route_seconds(target, a, b, tensor) for b in names) for a in names)
        return known[key]

    return times


def _route_seconds(target: Target, a: str, b: str, tensor: TensorView) -> float | None:
    """None where no chain of links carries it, or no arena can hold it: shape unknown, strings, sequences."""
    if a == b:
        return 0.0
    hops = route(target, a, b, tensor) if tensor.bytes is not None else None
    return None if hops is None else sum(hop.seconds for hop in hops)
