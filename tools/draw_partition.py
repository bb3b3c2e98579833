"""Draws a bundle: a column per device, a box per segment, an arrow per pair of segments with what crosses there.

python tools/draw_partition.py BUNDLE FILE.svg    draw a bundle
python tools/draw_partition.py                    rewrite docs/partition.svg, the README's picture
python tools/draw_partition.py --check            exit 1 if that file differs

The README's picture is lightnet compiled for tensor_g2.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import autoglmc
from autoglmc.compiler.quantities import count, size, time

if TYPE_CHECKING:
    import networkx

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docs" / "partition.svg"
BOX, HEIGHT, ROW, COLUMN, TOP, MARGIN = 190, 44, 62, 330, 56, 30
COLOURS = ("#2f6db3", "#b3592f", "#3f8050", "#8a5aa8")
"""Of the devices, left to right; white text is readable on each."""
STYLE = """<style>
text { font: 13px sans-serif; fill: #3d444d } .in { fill: #fff } .small { font-size: 11.5px } .head { font-weight: bold; font-size: 14px }
path, line { stroke: #6e7781; fill: none; stroke-width: 1.5 } .lane { stroke-dasharray: 2 5 } marker path { fill: #6e7781; stroke: none }
@media (prefers-color-scheme: dark) { text { fill: #d1d7e0 } .in { fill: #fff } }
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 8 4 0 8z"/></marker></defs>"""


def draw(bundle: autoglmc.Bundle) -> str:
    """An SVG of the bundle, time running downwards; equal bundles give equal bytes."""
    graph = bundle.graph("segments")
    segments = {node: facts for node, facts in graph.nodes(data=True) if facts["kind"] == "segment"}
    order = sorted(segments, key=lambda node: segments[node]["index"])
    columns = {device: k for k, device in enumerate(dict.fromkeys(segments[node]["device"] for node in order))}
    places = {node: (MARGIN + COLUMN * columns[segments[node]["device"]], TOP + ROW * k) for k, node in enumerate(order)}
    width = 2 * MARGIN + COLUMN * (len(columns) - 1) + BOX
    lines = [*_lanes(columns, TOP + ROW * len(order) - 12), *_arrows(graph, places)]
    lines += [
        line for node in order for line in _box(segments[node], places[node], COLOURS[columns[segments[node]["device"]] % len(COLOURS)])
    ]
    height = TOP + ROW * len(order) + 20
    facts = graph.graph
    total = f"{facts['target']}: {count(len(order), 'segment')}, {time(facts['seconds'])} predicted"
    lines.append(f'<text x="{MARGIN}" y="{height - 14}">{escape(total)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
    return "\n".join([head, f"<title>{escape(total)}</title>", STYLE, *lines, "</svg>"]) + "\n"


def _lanes(columns: Mapping[str, int], bottom: int) -> Iterator[str]:
    for device, k in columns.items():
        middle = MARGIN + COLUMN * k + BOX // 2
        yield f'<text class="head" x="{middle}" y="32" text-anchor="middle">{escape(device)}</text>'
        yield f'<line class="lane" x1="{middle}" y1="44" x2="{middle}" y2="{bottom}"/>'


def _box(facts: Mapping[str, Any], place: tuple[int, int], colour: str) -> Iterator[str]:
    x, y = place
    yield f'<rect x="{x}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="6" fill="{colour}"/>'
    yield f'<text class="in" x="{x + 12}" y="{y + 19}">segment {facts["index"]}, {escape(facts["runtime"])}</text>'
    yield f'<text class="in small" x="{x + 12}" y="{y + 35}">{count(facts["operators"], "operator")}, {time(facts["seconds"])}</text>'


def _arrows(graph: networkx.DiGraph[str], places: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """One arrow per pair of segments on two devices, with all that is handed over there."""
    crossing: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for node, facts in graph.nodes(data=True):
        if facts["kind"] == "handoff":
            for source in graph.predecessors(node):
                for reader in graph.successors(node):
                    if source in places and reader in places:
                        crossing[source, reader].append(facts)
    leaving: Counter[str] = Counter()
    for (source, reader), handoffs in sorted(crossing.items(), key=lambda pair: (places[pair[0][0]][1], places[pair[0][1]][1])):
        yield from _arrow(places[source], places[reader], handoffs, leaving[source])
        leaving[source] += 1


def _arrow(source: tuple[int, int], reader: tuple[int, int], handoffs: list[Mapping[str, Any]], number: int) -> Iterator[str]:
    """Along the source's row, where no other segment is, then down to the reader; `number` parts several of one source."""
    (x, y), right = source, reader[0] > source[0]
    start, y = (x + BOX if right else x), y + 22 + 18 * number
    yield f'<path d="M{start} {y} H{reader[0] + BOX // 2} V{reader[1] - 1}" marker-end="url(#tip)"/>'
    modes = ", ".join(dict.fromkeys(facts["mode"].replace("_", "-") for facts in handoffs))
    what = f"{size(sum(facts['bytes'] for facts in handoffs))} {modes}"
    anchor, x = ("start", start + 10) if right else ("end", start - 10)
    yield f'<text class="small" x="{x}" y="{y - 6}" text-anchor="{anchor}">{escape(what)}</text>'


def picture() -> str:
    """The README's picture, compiled anew."""
    with tempfile.TemporaryDirectory() as folder:
        model = ROOT / "tests" / "models" / "lightnet.onnx"
        return draw(autoglmc.compile(model, "tensor_g2", shapes={"batch": 1}, output=Path(folder) / "bundle", verify=False))


def main() -> int:
    arguments = sys.argv[1:]
    if len(arguments) == 2:
        Path(arguments[1]).write_text(draw(autoglmc.Bundle.load(arguments[0])), encoding="utf-8")
    elif arguments == ["--check"]:
        return int(FILE.read_text(encoding="utf-8") != picture())
    else:
        FILE.write_text(picture(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
