"""What must hold of every bundle's graph, asked of networkx: it knows nothing of how the bundle was made."""

from __future__ import annotations

from collections import Counter
from typing import Any

import networkx as nx

from autoglmc.compiler.bundle.manifest import Manifest


def check_shape(manifest: Manifest, operators: nx.DiGraph[str], segments: nx.DiGraph[str]) -> None:
    """Acyclic, convex, in the order of the schedule, complete, and every handoff between the devices that it names."""
    for graph in (operators, segments):
        assert nx.is_directed_acyclic_graph(graph)
        assert not [node for node in graph if graph.nodes[node]["kind"] not in ("input", "output") and not graph.degree(node)]
        check_ends(manifest, graph)
        check_handoffs(manifest, graph)
    check_convex(operators)
    check_levels_agree(manifest, operators, segments)


def check_ends(manifest: Manifest, graph: nx.DiGraph[str]) -> None:
    """Inputs are only read, outputs only written, each once; and whatever computes is of use."""
    kinds = nx.get_node_attributes(graph, "kind")
    assert Counter(kinds.values())["input"] == len(manifest.model.inputs)
    outputs = [node for node, kind in kinds.items() if kind == "output"]
    assert len(outputs) == len(manifest.model.outputs)
    assert all(graph.in_degree(node) == 0 for node, kind in kinds.items() if kind == "input")
    assert all(graph.in_degree(node) == 1 and graph.out_degree(node) == 0 for node in outputs)
    assert all(graph.out_degree(node) for node, kind in kinds.items() if kind in ("operator", "segment", "handoff", "range"))


def check_handoffs(manifest: Manifest, graph: nx.DiGraph[str]) -> None:
    """One node for each; its tensor comes from its producer and goes to its consumer, unless the host is meant."""
    found = [node for node, kind in graph.nodes(data="kind") if kind == "handoff"]
    assert len(found) == len(manifest.handoffs)
    for node in found:
        facts = graph.nodes[node]
        (before,) = graph.predecessors(node)
        assert graph.edges[before, node]["tensors"] == (facts["tensor"],)
        assert device_after(graph, before, facts["producer"]) == facts["producer"]
        for after in graph.successors(node):
            there = graph.nodes[after]
            assert there.get("device", there.get("producer", facts["consumer"])) == facts["consumer"]
    for before, after in graph.edges:
        ends = [graph.nodes[node].get("device") for node in (before, after)]
        assert None in ends or ends[0] == ends[1], f"{before} -> {after} changes the device without a handoff"


def device_after(graph: nx.DiGraph[str], node: str, host: str) -> Any:
    """Where the tensors that a node makes are."""
    facts = graph.nodes[node]
    return facts.get("device") or facts.get("consumer") or host


def check_convex(operators: nx.DiGraph[str]) -> None:
    """No path leaves a segment and comes back: what a segment reaches and what reaches it have only the segment in common."""
    members: dict[int, set[str]] = {}
    for node, index in operators.nodes(data="segment"):
        if index is not None:
            members.setdefault(index, set()).add(node)
    for inside in members.values():
        below = set().union(*(nx.descendants(operators, node) for node in inside)) - inside
        above = set().union(*(nx.ancestors(operators, node) for node in inside)) - inside
        assert not below & above


def check_levels_agree(manifest: Manifest, operators: nx.DiGraph[str], segments: nx.DiGraph[str]) -> None:
    """The operators of each segment made one node give the graph of segments, which follows the order of the schedule."""
    place = {node: f"segment {index}" if index is not None else node for node, index in operators.nodes(data="segment")}
    merged = {(place[a], place[b]) for a, b in operators.edges if place[a] != place[b]}
    assert merged == set(segments.edges)
    tensors = {(place[a], place[b], name) for a, b, names in operators.edges(data="tensors") for name in names if place[a] != place[b]}
    assert tensors == {(a, b, name) for a, b, names in segments.edges(data="tensors") for name in names}
    order = {f"segment {step.segment}": number for number, step in enumerate(manifest.schedule) if step.kind == "run"}
    closure = nx.transitive_closure_dag(segments)
    assert all(order[a] < order[b] for a, b in closure.edges if a in order and b in order)
    assert Counter(index for _, index in operators.nodes(data="segment") if index is not None) == {
        index: facts["operators"] for index, facts in segments.graph["segments"].items()
    }
