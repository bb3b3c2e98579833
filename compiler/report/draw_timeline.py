"""A timeline as a file: Chrome's trace format, a drawing (SVG), or the drawing in a page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from ..output_file import check_file_place, write_file
from ..quantities import time
from ..run.timeline import Timeline, chrome_trace

SUFFIXES = (".json", ".html", ".svg")
MOST = 5000
"""Spans that a drawing shows of one timeline; a trace has them all."""
COLOURS = ("#3b6fb6", "#d9822b", "#4a9d5b", "#b5485d", "#7a5aa6", "#8a7a3b", "#3d9aa1", "#a05a2c")
LEFT, RIGHT, BAR, ROW, TOP = 110, 20, 20, 26, 34
WIDTH = 1200


def check_timeline_place(path: Path) -> None:
    """Raises UsageError where no timeline can be written; to be asked before anything runs."""
    check_file_place(path, "the timeline", SUFFIXES, "--timeline")


def write_timeline(path: Path, timelines: Mapping[str, Timeline]) -> None:
    """Raises UsageError where the file cannot be written."""
    check_timeline_place(path)
    if path.suffix.lower() == ".json":
        text = json.dumps(chrome_trace(timelines), ensure_ascii=False) + "\n"
    else:
        text = "\n".join(svg(timelines)) + "\n"
        if path.suffix.lower() == ".html":
            text = (
                f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>autoglmc timeline</title>\n<body>\n{text}</body></html>\n'
            )
    write_file(path, text)


def svg(timelines: Mapping[str, Timeline]) -> Iterator[str]:
    """Lines of a drawing: the timelines under each other, all on one scale of time; the colour is the request."""
    longest = max((line.wall for line in timelines.values()), default=0.0) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / longest
    height = sum(TOP + ROW * len(line.lanes) + ROW for line in timelines.values())
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">'
    top = 0
    for title, line in timelines.items():
        yield from _one(title, line, scale, top)
        top += TOP + ROW * len(line.lanes) + ROW
    yield "</svg>"


def _one(title: str, line: Timeline, scale: float, top: int) -> Iterator[str]:
    shown = line.spans[:MOST]
    left_out = f", the first {MOST} of {len(line.spans)} steps" if len(shown) < len(line.spans) else ""
    yield f'<text x="4" y="{top + 18}" font-weight="bold">{escape(f"{title}: {time(line.wall)}{left_out}")}</text>'
    rows = {lane: top + TOP + ROW * k for k, lane in enumerate(line.lanes)}
    for lane, y in rows.items():
        yield f'<text x="4" y="{y + 15}">{escape(lane)}</text>'
        yield f'<line x1="{LEFT}" y1="{y + BAR + 3}" x2="{WIDTH - RIGHT}" y2="{y + BAR + 3}" stroke="#ddd"/>'
    for span in shown:
        x, width = LEFT + span.begin * scale, max((span.end - span.begin) * scale, 0.3)
        told = f"request {span.request}, step {span.step}: {span.what}, {time(span.end - span.begin)} from {time(span.begin)}"
        yield (
            f'<rect x="{x:.2f}" y="{rows[span.lane]}" width="{width:.2f}" height="{BAR}" fill="{COLOURS[span.request % len(COLOURS)]}">'
            f"<title>{escape(told)}</title></rect>"
        )
    end = top + TOP + ROW * len(line.lanes)
    for k in range(6):
        x = LEFT + k * line.wall * scale / 5
        yield f'<text x="{x:.1f}" y="{end + 14}" fill="#666" text-anchor="middle">{time(k * line.wall / 5)}</text>'
