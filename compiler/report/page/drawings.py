"""Where things are drawn: the timeline, and memories as lifetimes by addresses. Lengths are units of the drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...quantities import size, time
from ..printable import printable

WIDTH, LEFT, RIGHT, TOP, AXIS = 960.0, 120.0, 12.0, 8.0, 24.0
LANE, BAR = 40.0, 28.0
HEIGHT = 280.0
"""Of the addresses of a memory."""
MOST = 4000
"""Boxes of one drawing; what is left out is counted."""
TICKS = 5
LETTER = 6.6
"""Width of a letter, about: a label that does not fit is left out, the box's title has it."""
LANE_LETTERS = 15
COLOURS = 8
"""Of devices; further devices reuse them, and their lanes tell them apart."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with a tooltip, and a label where it fits."""

    x: float
    y: float
    width: float
    height: float
    css: str
    """Its class in the style sheet."""
    title: str
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A text, or a line where `across` says so, at a place of an axis."""

    at: float
    text: str
    css: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a template turns into SVG."""

    title: str
    height: float
    boxes: Sequence[Box]
    rows: Sequence[Mark]
    """Down the left edge."""
    ticks: Sequence[Mark]
    """Along the lower edge."""
    left_out: int
    """Boxes beyond MOST."""
    width: float = WIDTH
    left: float = LEFT
    right: float = WIDTH - RIGHT


def device_colours(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """The class of each device's colour: those that run segments first, then those that only hold tensors."""
    names = [one["device"] for one in (*manifest["segments"], *manifest["arena"]["slots"])]
    return {name: f"c{number % COLOURS}" for number, name in enumerate(dict.fromkeys(names))}


def draw_timeline(
    data: Mapping[str, Any], colours: Mapping[str, str], title: str = "Predicted schedule", scale_to: float | None = None
) -> Drawing:
    """Of page data's "predicted", or of a line of "measured"; colours: of devices. Where several requests run, a box has its request's.

    scale_to: seconds that the width stands for; None for those of the line."""
    lanes, whole = data["lanes"], scale_to or data["seconds"] or 1.0
    scale = (WIDTH - LEFT - RIGHT) / whole
    spans, boxes = data["spans"], []
    several = len({span.get("request") for span in spans}) > 1
    for span in spans[:MOST]:
        lasts = span["end"] - span["begin"]
        what, y = _what(span["what"]), TOP + LANE * lanes.index(span["lane"]) + (LANE - BAR) / 2
        css = colours.get(span["lane"], "m-copy") if span["kind"] == "run" else f"m-{span['kind']}"
        short = str(span["segment"]) if span["kind"] == "run" else ""
        if several:
            css, what, short = f"c{span['request'] % COLOURS}", f"request {span['request']}, {what}", str(span["request"])
        told = f"{what} on {printable(span['lane'])}: {time(lasts)}, from {time(span['begin'])}"
        boxes.append(_box(LEFT + span["begin"] * scale, y, max(lasts * scale, 0.8), BAR, css, told, what, short))
    height = TOP + LANE * len(lanes)
    rows = [Mark(TOP + LANE * k + LANE / 2, _clipped(printable(name))) for k, name in enumerate(lanes)]
    ticks = [Mark(LEFT + k * (WIDTH - LEFT - RIGHT) / TICKS, time(k * whole / TICKS)) for k in range(TICKS + 1)]
    left_out = max(len(spans) - MOST, 0) + data.get("left_out", 0)
    return Drawing(title, height + AXIS, boxes, rows, ticks, left_out)


def draw_arena(arena: Mapping[str, Any], steps: int, colours: Mapping[str, str]) -> Drawing:
    """Of the manifest's "arena": time is its steps. What lies inside another tensor is drawn inside it."""
    ranges = [
        (slot["lifetime"], slot["offset"], slot["bytes"], colours[slot["device"]], f"{slot['tensor']} on {slot['device']}", slot["inside"])
        for slot in arena["slots"]
    ]
    lines = [(arena["total"], f"total {size(arena['total'])}", "total"), (arena["lower_bound"], "lower bound", "bound")]
    return _memory("Arena", ranges, steps, arena["total"], "step", lines if arena["lower_bound"] != arena["total"] else lines[:1])


def draw_places(segment: Mapping[str, Any]) -> list[Drawing]:
    """One for each memory that tensors of a segment have places in: time is its kernels."""
    places = segment["memories"]["places"] if segment["memories"] else []
    found = []
    for memory in dict.fromkeys(place["memory"] for place in places):
        here = [place for place in places if place["memory"] == memory]
        ranges = [((p["first"], p["last"]), p["offset"], p["bytes"], f"p-{p['kind']}", f"{p['tensor']} ({p['kind']})", None) for p in here]
        top = max(place["offset"] + place["bytes"] for place in here)
        title = f"Segment {segment['index']} in {printable(memory)}"
        found.append(_memory(title, ranges, len(segment["kernels"]), top, "kernel", [(top, f"up to {size(top)}", "total")]))
    return found


def _memory(title: str, ranges: Sequence[Any], steps: int, total: int, unit: str, lines: Sequence[Any]) -> Drawing:
    wide, high = (WIDTH - LEFT - RIGHT) / max(steps, 1), HEIGHT / max(total, 1)
    boxes = []
    for (first, last), offset, count, css, what, inside in ranges[:MOST]:
        inset = 3.0 if inside else 0.0
        told = f"{_what(what)}: {size(count)} at {offset}, {unit}s {first} to {last}"
        y = TOP + HEIGHT - (offset + count) * high
        box = (LEFT + first * wide + inset, y, max((last - first + 1) * wide - 2 * inset, 0.8), max(count * high, 0.8))
        boxes.append(_box(*box, f"{css} inside" if inside else css, told, f"{_what(what)} · {size(count)}"))
    rows = [Mark(TOP + HEIGHT - at * high, text, css) for at, text, css in lines]
    every = max(-(-steps // 12), 1)
    ticks = [Mark(LEFT + (k + 0.5) * wide, f"{unit} {k}") for k in range(0, steps, every)]
    return Drawing(title, TOP + HEIGHT + AXIS, boxes, rows, ticks, max(len(ranges) - MOST, 0))


def _box(x: float, y: float, width: float, height: float, css: str, title: str, label: str, short: str | None = None) -> Box:
    """short: what stands in a box that is too small for the label; None for as much of the label as fits."""
    room = int((width - 8) / LETTER)
    if short is None:
        short = f"{label[: room - 1]}…" if room >= 6 else ""
    shown = label if len(label) <= room else short if len(short) <= room else ""
    return Box(round(x, 2), round(y, 2), round(width, 2), round(height, 2), css, title, shown if height >= 12 else "")


def _what(text: str) -> str:
    """A name may have ten thousand characters."""
    safe = printable(text)
    return safe if len(safe) <= 120 else f"{safe[:80]}…{safe[-38:]}"


def _clipped(text: str) -> str:
    return text if len(text) <= LANE_LETTERS else f"{text[: LANE_LETTERS - 1]}…"
