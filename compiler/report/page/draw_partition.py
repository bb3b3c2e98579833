"""The partition as a picture: a column per device, a box per segment, an arrow per pair of segments with what crosses there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from ...quantities import count, size, time
from ..printable import printable

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
Place = tuple[int, int]


def draw_partition(data: Mapping[str, Any]) -> str:
    """An SVG of page data, time running downwards; equal data give equal bytes."""
    segments = data["manifest"]["segments"]
    operators = Counter(one[0] for one in data["operators"])
    columns = {device: k for k, device in enumerate(dict.fromkeys(segment["device"] for segment in segments))}
    places = {one["index"]: (MARGIN + COLUMN * columns[one["device"]], TOP + ROW * k) for k, one in enumerate(segments)}
    width = 2 * MARGIN + COLUMN * (len(columns) - 1) + BOX
    lines = [*_lanes(columns, TOP + ROW * len(segments) - 12), *_arrows(data, places)]
    for one in segments:
        colour = COLOURS[columns[one["device"]] % len(COLOURS)]
        lines += _box(one, operators[one["index"]], places[one["index"]], colour)
    height = TOP + ROW * len(segments) + 20
    total = (
        f"{_text(data['manifest']['target']['name'])}: {count(len(segments), 'segment')}, {time(data['predicted']['seconds'])} predicted"
    )
    lines.append(f'<text x="{MARGIN}" y="{height - 14}">{total}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
    return "\n".join([head, f"<title>{total}</title>", STYLE, *lines, "</svg>"]) + "\n"


def _lanes(columns: Mapping[str, int], bottom: int) -> Iterator[str]:
    for device, k in columns.items():
        middle = MARGIN + COLUMN * k + BOX // 2
        yield f'<text class="head" x="{middle}" y="32" text-anchor="middle">{_text(device)}</text>'
        yield f'<line class="lane" x1="{middle}" y1="44" x2="{middle}" y2="{bottom}"/>'


def _box(segment: Mapping[str, Any], operators: int, place: Place, colour: str) -> list[str]:
    x, y = place
    return [
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="6" fill="{colour}"/>',
        f'<text class="in" x="{x + 12}" y="{y + 19}">segment {segment["index"]}, {_text(segment["runtime"]["adapter"])}</text>',
        f'<text class="in small" x="{x + 12}" y="{y + 35}">{count(operators, "operator")}, {time(segment["predicted_seconds"])}</text>',
    ]


def _arrows(data: Mapping[str, Any], places: Mapping[int, Place]) -> Iterator[str]:
    """One arrow per pair of segments on two devices, with all that is handed over there."""
    number = {node["id"]: node["index"] for node in data["graph"]["nodes"] if node["kind"] == "segment"}
    crossing: dict[tuple[int, int], list[Mapping[str, Any]]] = defaultdict(list)
    for edge in data["graph"]["edges"]:
        ends = (number.get(edge["source"]), number.get(edge["target"]))
        if edge["handoff"] is not None and ends[0] is not None and ends[1] is not None:
            crossing[ends[0], ends[1]].append(data["manifest"]["handoffs"][edge["handoff"]])
    leaving: Counter[int] = Counter()
    for (source, reader), handoffs in sorted(crossing.items()):
        yield from _arrow(places[source], places[reader], handoffs, leaving[source])
        leaving[source] += 1


def _arrow(source: Place, reader: Place, handoffs: list[Mapping[str, Any]], number: int) -> Iterator[str]:
    """Along the source's row, where no other segment is, then down to the reader; `number` parts several of one source."""
    (x, y), right = source, reader[0] > source[0]
    start, y = (x + BOX if right else x), y + 22 + 18 * number
    yield f'<path d="M{start} {y} H{reader[0] + BOX // 2} V{reader[1] - 1}" marker-end="url(#tip)"/>'
    modes = ", ".join(dict.fromkeys(one["mode"].replace("_", "-") for one in handoffs))
    what = f"{size(sum(one['bytes'] for one in handoffs))} {modes}"
    anchor, x = ("start", start + 10) if right else ("end", start - 10)
    yield f'<text class="small" x="{x}" y="{y - 6}" text-anchor="{anchor}">{what}</text>'


def _text(name: str) -> str:
    return escape(printable(name))
