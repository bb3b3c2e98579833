"""Draws a partition with networkx: which devices a tensor visits, what is slowest, and a .dot file for Graphviz.

python examples/plot_partition.py [FILE.dot]

`autoglmc report BUNDLE --svg partition` draws a bundle without any of this; the README's picture is made so.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import networkx

import autoglmc

LIGHTNET = Path(__file__).resolve().parent.parent / "tests" / "models" / "lightnet.onnx"
COLOURS = {"cpu": "lightblue", "npu": "orange", "gpu": "palegreen"}


def main(file: Path | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        result = autoglmc.compile_model(LIGHTNET, "tensor_g2", shapes={"batch": 1}, output=Path(folder) / "bundle", verify=False)
        segments, operators = result.graph("segments"), result.graph()

    slowest = networkx.dag_longest_path(weighted(segments))
    print("critical path:", " -> ".join(node for node in slowest if node.startswith("segment")))
    crossed = sum(facts["bytes"] for _, facts in segments.nodes(data=True) if facts["kind"] == "handoff")
    print(f"{crossed / 2**20:.1f} MiB cross between devices")

    placed = [facts for _, facts in operators.nodes(data=True) if facts["kind"] == "operator"]
    for facts in sorted(placed, key=lambda facts: -facts["seconds"])[:3]:
        print(f"{facts['operator']} {facts['name']} on {facts['device']}: {facts['seconds'] * 1e6:.0f} us")

    text = "\n".join(dot(segments)) + "\n"
    if file is None:
        print(text, end="")
    else:
        file.write_text(text, encoding="utf-8")


def weighted(graph: networkx.DiGraph[str]) -> networkx.DiGraph[str]:
    """The graph with the seconds of a node on the edges to it, where networkx's paths look for them."""
    copy: networkx.DiGraph[str] = networkx.DiGraph()
    copy.add_nodes_from(graph)
    copy.add_weighted_edges_from((source, node, graph.nodes[node]["seconds"]) for source, node in graph.edges)
    return copy


def dot(graph: networkx.DiGraph[str]) -> list[str]:
    """Lines for `dot -Tsvg`."""
    nodes = []
    for node, facts in graph.nodes(data=True):
        colour = COLOURS.get(facts.get("device", ""), "white")
        nodes.append(f'  "{node}" [style=filled, fillcolor={colour}, label="{node}\\n{facts["seconds"] * 1e6:.0f} us"];')
    edges = [f'  "{source}" -> "{node}";' for source, node in graph.edges]
    return ["digraph partition {", "  node [shape=box];", *nodes, *edges, "}"]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
