"""The cheapest chain of links between devices, against networkx. (route() keeps its own twenty lines: importing networkx takes 0.2 s of
processor time in a compilation of 1 s, and ties must go by the order of devices.)"""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_target import make_cpu, make_device, make_link, make_target

from autoglmc.targets.model import Link, Target
from autoglmc.targets.operator_view import TensorView
from autoglmc.targets.route import hop, route
from autoglmc.targets.stock import stock_names

NAMES = ("a", "b", "c", "d", "cpu")


@st.composite
def machines(draw: st.DrawFn) -> Target:
    """Five devices and up to eight links, several between the same two, one way or both."""
    links = []
    for _ in range(draw(st.integers(0, 8))):
        ends = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=2, unique=True))
        copies = draw(st.booleans())
        link = make_link(
            *ends,
            zero_copy=draw(st.booleans()),
            bandwidth=draw(st.sampled_from([1e9, 2e10])) if copies else None,
            handoff=draw(st.sampled_from([0.0, 1e-6, 3e-6, 1e-5])),
        )
        links.append(Link(**{**{name: getattr(link, name) for name in Link.__slots__}, "both": draw(st.booleans())}))
    return make_target([*(make_device(name, ["Relu"]) for name in NAMES[:-1]), make_cpu()], links)


def network(target: Target, tensor: TensorView) -> nx.MultiDiGraph[str]:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_nodes_from(device.name for device in target.devices)
    for link in target.links:
        for a, b in [(link.source, link.destination), *([(link.destination, link.source)] if link.both else [])]:
            step = hop(target, link, a, b, tensor)
            if step is not None:
                graph.add_edge(a, b, seconds=step.seconds)
    return graph


def compare(target: Target, tensor: TensorView) -> None:
    graph = network(target, tensor)
    for a in graph:
        lengths = nx.single_source_dijkstra_path_length(graph, a, weight="seconds")
        for b in graph:
            hops = route(target, a, b, tensor)
            assert (hops is not None) == (b in lengths)
            if hops is None:
                continue
            assert sum(step.seconds for step in hops) == pytest.approx(lengths[b], abs=1e-15)
            assert [step.producer for step in hops] == [a, *(step.consumer for step in hops)][:-1] and (not hops or hops[-1].consumer == b)


def view(dtype: str, *shape: int) -> TensorView:
    return TensorView(name="x", dtype=dtype, shape=shape, const=False)


@settings(max_examples=60)
@given(machines(), st.sampled_from([(1,), (3, 5), (1, 64, 128), (512, 512)]))
def test_random_machines(target: Target, shape: tuple[int, ...]) -> None:
    compare(target, view("fp32", *shape))


@pytest.mark.parametrize("name", stock_names())
def test_stock_targets(name: str) -> None:
    from autoglmc.compiler.hw.load_target import load_target

    target = load_target(name)
    for dtype in ("fp32", "fp16", "int8", "int64"):
        for shape in ((1, 3, 224, 224), (1, 7), (128, 768)):
            compare(target, view(dtype, *shape))
