"""The graph of segments: what is computed where, and what goes from one to the other."""

from __future__ import annotations

from typing import Any

from ...bundle.graph import bundle_graph
from ...bundle.manifest import Manifest


def segment_graph(manifest: Manifest) -> dict[str, Any]:
    """{"nodes": [{"id", "kind", …}], "edges": [{"source", "target", "tensors", "handoff"}]}; kinds are input, segment, range and output. A
    handoff is an edge: its index in the manifest's list, None where a tensor stays where it is."""
    graph = bundle_graph(manifest, {segment.index: () for segment in manifest.segments}, {}, "segments")
    handoffs = {name: number for number, name in enumerate(f"handoff {k}" for k in range(len(manifest.handoffs)))}
    nodes = [{"id": name, **_named(facts)} for name, facts in graph.nodes(data=True) if name not in handoffs]
    edges = []
    for source, target, facts in graph.edges(data=True):
        if target in handoffs:
            edges += [_edge(source, reader, list(read["tensors"]), handoffs[target]) for _, reader, read in graph.out_edges(target, True)]
        elif source not in handoffs:
            edges.append(_edge(source, target, list(facts["tensors"]), None))
    return {"nodes": nodes, "edges": edges}


def _named(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: facts[key] for key in ("kind", "index", "tensor", "device", "operator") if key in facts}


def _edge(source: str, target: str, tensors: list[str], handoff: int | None) -> dict[str, Any]:
    return {"source": source, "target": target, "tensors": tensors, "handoff": handoff}
